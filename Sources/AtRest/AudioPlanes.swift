// The numbers of one audio chunk, a plane for each channel: between the bytes of the recording and the coders.
//
// Coders work along one channel, files change channel with every sample. Each thread keeps one of these for all its
// chunks. A plane has zeros before its first number, so that predictors need no case for the start.

import Base
import Formats
import OpenSSL

final class AudioPlanes {
  static let perThread = PerThread { AudioPlanes() }
  /// Zeros before each plane.
  static let lead = 4

  /// A sample has at least one byte, so this is enough for every chunk.
  private let numbers = UnsafeMutableBufferPointer<Int32>.allocate(
    capacity: Limits.recordingChunkBytes + AudioChunkHeader.channelsMax * lead)
  /// For each 16-bit sample, as unsigned: whether it was seen, then its rank.
  let marks = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 1 << 16)
  private(set) var channels = 0
  private(set) var sampleFrames = 0

  deinit {
    numbers.deallocate()
    marks.deallocate()
  }

  func prepare(channels: Int, sampleFrames: Int) {
    precondition(channels <= AudioChunkHeader.channelsMax && channels * sampleFrames <= Limits.recordingChunkBytes)
    self.channels = channels
    self.sampleFrames = sampleFrames
    for channel in 0..<channels { (self[channel] - Self.lead).update(repeating: 0, count: Self.lead) }
  }

  /// The plane of a channel, `sampleFrames` numbers.
  subscript(channel: Int) -> UnsafeMutablePointer<Int32> {
    numbers.baseAddress! + channel * (sampleFrames + Self.lead) + Self.lead
  }

  /// Takes the samples from their bytes: the numbers that ``ChannelMapping/plain`` stands for.
  func load(_ bytes: UnsafeRawPointer, _ encoding: SampleEncoding) {
    let stride = channels * encoding.bytes
    for channel in 0..<channels {
      let start = bytes + channel * encoding.bytes
      switch encoding {
      case .pcm8: load(start, stride, channel) { Int32($0.load(as: UInt8.self)) - 128 }
      case .pcm16: load(start, stride, channel) { Int32(Int16(littleEndian: $0.loadUnaligned(as: Int16.self))) }
      case .pcm24:
        load(start, stride, channel) {
          let low = Int32(UInt16(littleEndian: $0.loadUnaligned(as: UInt16.self)))
          return Int32($0.load(fromByteOffset: 2, as: Int8.self)) << 16 | low
        }
      case .pcm32: load(start, stride, channel) { Int32(littleEndian: $0.loadUnaligned(as: Int32.self)) }
      case .aLaw, .muLaw:
        (encoding == .aLaw ? G711.aLawRanks : G711.muLawRanks).withUnsafeBufferPointer { ranks in
          load(start, stride, channel) { Int32(ranks[Int($0.load(as: UInt8.self))]) - 128 }
        }
      }
    }
  }

  /// Usual strides are constants to the loop, so that it is vectorised.
  @inline(__always)
  private func load(_ start: UnsafeRawPointer, _ stride: Int, _ channel: Int, _ number: (UnsafeRawPointer) -> Int32) {
    let (plane, count) = (self[channel], sampleFrames)
    switch stride {
    case 1: for i in 0..<count { plane[i] = number(start + i) }
    case 2: for i in 0..<count { plane[i] = number(start + 2 * i) }
    case 4: for i in 0..<count { plane[i] = number(start + 4 * i) }
    default: for i in 0..<count { plane[i] = number(start + stride * i) }
    }
  }

  /// Gives the samples back to their bytes. False when a number is no rank of its channel's mapping.
  func store(_ bytes: UnsafeMutableRawPointer, _ encoding: SampleEncoding, _ mappings: [ChannelMapping]) -> Bool {
    let stride = channels * encoding.bytes
    for channel in 0..<channels {
      let start = bytes + channel * encoding.bytes
      switch encoding {
      case .pcm8:
        store(start, stride, channel) { $0.storeBytes(of: UInt8(truncatingIfNeeded: $1 &+ 128), as: UInt8.self) }
      case .pcm16: if !store16(start, stride, channel, mappings[channel]) { return false }
      case .pcm24:
        store(start, stride, channel) {
          $0.storeBytes(of: UInt16(truncatingIfNeeded: $1).littleEndian, as: UInt16.self)
          $0.storeBytes(of: UInt8(truncatingIfNeeded: $1 >> 16), toByteOffset: 2, as: UInt8.self)
        }
      case .pcm32: store(start, stride, channel) { $0.storeBytes(of: $1.littleEndian, as: Int32.self) }
      case .aLaw, .muLaw:
        (encoding == .aLaw ? G711.aLawCodes : G711.muLawCodes).withUnsafeBufferPointer { codes in
          store(start, stride, channel) {
            $0.storeBytes(of: codes[Int(UInt8(truncatingIfNeeded: $1 &+ 128))], as: UInt8.self)
          }
        }
      }
    }
    return true
  }

  private func store16(
    _ start: UnsafeMutableRawPointer, _ stride: Int, _ channel: Int, _ mapping: ChannelMapping
  ) -> Bool {
    guard let values = mapping.values else {
      store(start, stride, channel) { $0.storeBytes(of: Int16(truncatingIfNeeded: $1).littleEndian, as: Int16.self) }
      return true
    }
    let (zero, count) = (Int32(mapping.zeroRank), UInt32(values.count))
    var largest: UInt32 = 0
    let padded = values + [Int16](repeating: 0, count: 256 - values.count)
    padded.withUnsafeBufferPointer { samples in
      store(start, stride, channel) {
        let rank = UInt32(bitPattern: $1 &+ zero)
        largest = max(largest, rank)
        $0.storeBytes(of: samples[Int(rank & 255)].littleEndian, as: Int16.self)
      }
    }
    return largest < count
  }

  @inline(__always)
  private func store(
    _ start: UnsafeMutableRawPointer, _ stride: Int, _ channel: Int, _ put: (UnsafeMutableRawPointer, Int32) -> Void
  ) {
    let (plane, count) = (self[channel], sampleFrames)
    switch stride {
    case 1: for i in 0..<count { put(start + i, plane[i]) }
    case 2: for i in 0..<count { put(start + 2 * i, plane[i]) }
    case 4: for i in 0..<count { put(start + 4 * i, plane[i]) }
    default: for i in 0..<count { put(start + stride * i, plane[i]) }
    }
  }
}
