// One recording's chunks as audio: the samples that lie in a chunk are coded losslessly, everything else is kept as it
// is. Each chunk is decoded with nothing but itself. Bytes: Formats, audio-chunk.
//
// What is coded is decoded and compared before it is given back. What does not get smaller is not coded.

import Base
import Formats
import Glibc
import OpenSSL

package struct AudioChunkCoder: Sendable, Equatable {
  package var shape: WAVShape
  package var policy: AudioPolicy

  package init(shape: WAVShape, policy: AudioPolicy = .smallest) {
    self.shape = shape
    self.policy = policy
  }

  /// From a recording's first bytes, at best its whole first chunk; nil when they do not begin a WAV file of a known
  /// kind. `fileBytes` is the whole recording's length where that is known.
  package init?(front bytes: [UInt8], fileBytes: Int? = nil, policy: AudioPolicy = .smallest) {
    guard let shape = WAVShape(front: bytes, fileBytes: fileBytes) else { return nil }
    self.init(shape: shape, policy: policy)
  }

  /// The audio chunk of `original`, which lies at byte `offset` of the recording. Nil when it holds no samples, does not
  /// get smaller, or does not come back as it was. Blocks for about a millisecond.
  package func encode(_ original: RawSpan, at offset: Int) -> [UInt8]? {
    precondition(original.byteCount <= Limits.recordingChunkBytes, "a chunk is too long")
    guard let place = place(offset..<offset + original.byteCount) else { return nil }
    let hash = XXH64.hash(original)
    return original.withUnsafeBytes { bytes in
      guard let coded = smallest(bytes, place, hash), coded.count < bytes.count,
        let back = try? Self.decode(coded, originalBytes: bytes.count),
        memcmp(back, bytes.baseAddress!, bytes.count) == 0
      else { return nil }
      return coded
    }
  }

  package func encode(_ original: [UInt8], at offset: Int) -> [UInt8]? { encode(original.span.bytes, at: offset) }

  /// Where the whole sample frames lie in the chunk that has these bytes of the recording.
  private func place(_ chunk: Range<Int>) -> Range<Int>? {
    let whole = chunk.clamped(to: shape.data)
    let bytes = shape.sampleFrameBytes
    let late = (whole.lowerBound - shape.data.lowerBound) % bytes
    let start = whole.lowerBound + (late == 0 ? 0 : bytes - late)
    let count = (whole.upperBound - start) / bytes
    guard count > 0 else { return nil }
    return start - chunk.lowerBound..<start - chunk.lowerBound + count * bytes
  }

  /// With the mappings that the samples allow; where that takes tables, also without them.
  private func smallest(_ bytes: UnsafeRawBufferPointer, _ place: Range<Int>, _ hash: UInt64) -> [UInt8]? {
    let planes = AudioPlanes.perThread.value
    let (front, back) = (Verbatim(bytes[..<place.lowerBound]), Verbatim(bytes[place.upperBound...]))
    var header = AudioChunkHeader(
      encoding: shape.encoding, coder: .flac, sampleFrames: place.count / shape.sampleFrameBytes, front: front.lengths,
      back: back.lengths, originalHash: hash, mappings: Array(repeating: .plain, count: shape.channels))
    func coded(_ mappings: [ChannelMapping]) -> [UInt8]? {
      for (channel, mapping) in mappings.enumerated() { planes.apply(mapping, channel) }
      header.mappings = mappings
      header.coder = policy.coder(header)
      return payload(planes, header).map { header.encode() + front.bytes + back.bytes + $0 }
    }
    func load() { planes.load(bytes.baseAddress! + place.lowerBound, shape.encoding) }
    planes.prepare(channels: shape.channels, sampleFrames: header.sampleFrames)
    load()
    guard shape.encoding == .pcm16 else { return coded(header.mappings) }
    let found = (0..<shape.channels).map { planes.mapping($0) }
    let mapped = coded(found)
    let simple = found.map { if case .table = $0 { ChannelMapping.plain } else { $0 } }
    guard simple != found else { return mapped }
    load()
    return [mapped, coded(simple)].compactMap { $0 }.min { $0.count < $1.count }
  }

  private func payload(_ planes: AudioPlanes, _ header: AudioChunkHeader) -> [UInt8]? {
    switch header.coder {
    case .flac: FLACEncoder.perThread.value.encode(planes, bits: header.numberBits)
    case .hybrid: HybridEncoder.encode(planes, widths: HybridCoder.widths(header))
    }
  }
}
