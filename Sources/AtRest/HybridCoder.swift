// The fast coder of numbers of 8 or 16 bits: a fixed predictor (order 0 to 3) for each block of 256 numbers, the high
// part of every residual as a byte into a zstd frame, whose Huffman coder it fits, and low bits as they are, since they
// are noise. Bytes: Formats, audio-chunk.
//
// A zstd frame for every 16,384 numbers of a channel, two seconds of a call, lets the code follow who is speaking: 2 %
// smaller than one for the whole chunk, and smaller than FLAC for what came over G.711.
//
// Arithmetic wraps at the width of the numbers, so a residual is never wider than they are, and 8-bit numbers never need
// low bits or escapes. A predictor's history is what stands before the block in its plane: zeros before the first.

import Base
import Formats

enum HybridCoder {
  static let blockNumbers = 256
  /// Numbers of a channel whose symbols share a zstd frame.
  static let groupNumbers = 64 * blockNumbers
  /// Bits of a residual that are stored as they are, at most.
  static let lowBitsMax = 8
  /// The symbol that says: the high part follows among the escapes.
  static let escape: UInt8 = 255

  /// Width of each channel's numbers.
  static func widths(_ header: AudioChunkHeader) -> [Int] {
    header.mappings.map { $0 == .plain ? 8 * header.encoding.bytes : 8 }
  }

  static func blocks(_ numbers: Int) -> Int { (numbers + blockNumbers - 1) / blockNumbers }

  static func groups(_ numbers: Int) -> Int { (numbers + groupNumbers - 1) / groupNumbers }

  /// Bytes of `numbers` low parts of `bits` bits: eight of them fill whole bytes.
  static func lowBytes(_ numbers: Int, bits: Int) -> Int { (numbers + 7) / 8 * bits }
}
