// A WAV file as a plain FLAC file that any player plays and `flac -d` turns back into the very same bytes.
//
// Only for WAV files whose header is the one that decoders write: 44 bytes, PCM of 8 or 16 bits, one or two channels, true
// sizes, nothing behind the samples. libFLAC decodes what it has encoded and compares, and the samples' MD5 stands in the
// file, so a decoder checks them once more. Used by one thread at a time.

import CFLAC
import OpenSSL

package final class FLACFile {
  /// Of a WAV file that this is for.
  package struct Shape: Sendable, Equatable {
    package var channels: Int
    package var bits: Int
    package var rate: Int
    /// A sample of each channel.
    package var sampleFrames: Int

    package static let headerBytes = 44

    /// `front` are the file's first bytes, `fileBytes` its length. Nil for every other file.
    package init?(front: [UInt8], fileBytes: Int) {
      func number(_ at: Int, _ bytes: Int) -> Int { (0..<bytes).reduce(0) { $0 | Int(front[at + $1]) << (8 * $1) } }
      func name(_ at: Int) -> String { String(decoding: front[at..<(at + 4)], as: UTF8.self) }
      guard front.count >= Self.headerBytes, name(0) == "RIFF", name(8) == "WAVE", name(12) == "fmt ",
        name(36) == "data",
        number(16, 4) == 16, number(20, 2) == 1
      else { return nil }
      (channels, rate, bits) = (number(22, 2), number(24, 4), number(34, 2))
      let align = channels * bits / 8
      let data = fileBytes - Self.headerBytes
      guard (1...2).contains(channels), bits == 8 || bits == 16, (1...655_350).contains(rate),
        rate <= 65_535 || rate % 10 == 0, number(28, 4) == rate * align, number(32, 2) == align, data > 0,
        data % align == 0, data % 2 == 0, number(4, 4) == fileBytes - 8, number(40, 4) == data
      else { return nil }
      sampleFrames = data / align
    }
  }

  /// "fLaC", and the first block of metadata with its header.
  private static let headBytes = 42
  private let shape: Shape
  private let encoder: UnsafeMutablePointer<FLAC__StreamEncoder>
  private let md5 = Hasher(.md5)
  /// Bytes of a sample frame of which the rest is still to come.
  private var waiting: [UInt8] = []
  private var output: [UInt8] = []
  private var head: [UInt8] = []

  /// Nil when libFLAC does not take it.
  package init?(_ shape: Shape) {
    guard let encoder = FLAC__stream_encoder_new() else { preconditionFailure("out of memory") }
    self.encoder = encoder
    self.shape = shape
    FLAC__stream_encoder_set_verify(encoder, 1)
    FLAC__stream_encoder_set_streamable_subset(encoder, 0)
    FLAC__stream_encoder_set_compression_level(encoder, 5)
    FLAC__stream_encoder_set_channels(encoder, UInt32(shape.channels))
    FLAC__stream_encoder_set_bits_per_sample(encoder, UInt32(shape.bits))
    FLAC__stream_encoder_set_sample_rate(encoder, UInt32(shape.rate))
    FLAC__stream_encoder_set_total_samples_estimate(encoder, UInt64(shape.sampleFrames))
    // The MD5 is made here, since a stream is not gone back to.
    komora_flac_no_md5(encoder)
    let started = FLAC__stream_encoder_init_stream(
      encoder,
      { _, bytes, count, _, _, owner in
        guard let bytes, let owner else { return FLAC__STREAM_ENCODER_WRITE_STATUS_FATAL_ERROR }
        let this = Unmanaged<FLACFile>.fromOpaque(owner).takeUnretainedValue()
        this.output.append(contentsOf: UnsafeBufferPointer(start: bytes, count: count))
        return FLAC__STREAM_ENCODER_WRITE_STATUS_OK
      }, nil, nil, nil, Unmanaged.passUnretained(self).toOpaque())
    guard started == FLAC__STREAM_ENCODER_INIT_STATUS_OK else { return nil }
  }

  deinit { FLAC__stream_encoder_delete(encoder) }

  /// The next bytes of samples, as the file has them; gives what is ready behind the head. Nil when libFLAC gives up.
  package func update(_ samples: [UInt8]) -> [UInt8]? {
    let bytes = waiting + samples
    let width = shape.bits / 8
    let frames = bytes.count / (shape.channels * width)
    let used = frames * shape.channels * width
    waiting = Array(bytes[used...])
    guard frames > 0 else { return take() }
    var numbers = [FLAC__int32](repeating: 0, count: frames * shape.channels)
    if width == 2 {
      md5.update(Array(bytes[..<used]))
      for i in numbers.indices {
        numbers[i] = Int32(Int16(truncatingIfNeeded: Int(bytes[2 * i]) | Int(bytes[2 * i + 1]) << 8))
      }
    } else {
      md5.update(bytes[..<used].map { $0 ^ 0x80 })
      for i in numbers.indices { numbers[i] = Int32(bytes[i]) - 128 }
    }
    guard FLAC__stream_encoder_process_interleaved(encoder, numbers, UInt32(frames)) != 0 else { return nil }
    return take()
  }

  /// The file's first bytes and its last. Nil when something did not come back as it was.
  package func finish() -> (head: [UInt8], tail: [UInt8])? {
    guard waiting.isEmpty, FLAC__stream_encoder_finish(encoder) != 0 else { return nil }
    let tail = take()
    guard head.count == Self.headBytes, head.starts(with: "fLaC".utf8) else { return nil }
    return (Array(head.dropLast(16)) + md5.finish(), tail)
  }

  private func take() -> [UInt8] {
    defer { output.removeAll(keepingCapacity: true) }
    let missing = min(Self.headBytes - head.count, output.count)
    guard missing > 0 else { return output }
    head += output[..<missing]
    return Array(output[missing...])
  }
}
