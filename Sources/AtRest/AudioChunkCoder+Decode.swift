// Back from an audio chunk to the bytes of the recording. Takes any bytes: what it allocates and how long it works has
// the bound of one chunk, whatever the chunk says of itself.

import Base
import Formats
import OpenSSL

extension AudioChunkCoder {
  /// The original bytes; `.damaged` or `.tooLarge` when `coded` is not their audio chunk, `.refused` when a newer version
  /// made it.
  package static func decode(_ coded: [UInt8], originalBytes: Int) throws(AtRestError) -> [UInt8] {
    let (header, length): (AudioChunkHeader, Int)
    do throws(FormatError) { (header, length) = try AudioChunkHeader.take(coded[...]) } catch {
      throw AtRestError(error)
    }
    guard header.originalBytes == originalBytes else {
      throw AtRestError(.damaged, "an audio chunk of \(header.originalBytes) bytes, not \(originalBytes)", at: 4)
    }
    var rest = coded[length...]
    let front = try Verbatim.take(header.front, from: &rest)
    let back = try Verbatim.take(header.back, from: &rest)
    let planes = AudioPlanes.perThread.value
    planes.prepare(channels: header.channels, sampleFrames: header.sampleFrames)
    try fill(planes, from: rest, header)
    var isWhole = false
    let original = [UInt8](unsafeUninitializedCapacity: originalBytes) { buffer, used in
      let bytes = UnsafeMutableRawBufferPointer(buffer)
      bytes.copyBytes(from: front)
      UnsafeMutableRawBufferPointer(rebasing: bytes[(originalBytes - back.count)...]).copyBytes(from: back)
      isWhole =
        header.sampleFrames == 0
        || planes.store(bytes.baseAddress! + front.count, header.encoding, header.mappings)
      used = isWhole ? originalBytes : 0
    }
    guard isWhole, XXH64.hash(original) == header.originalHash else {
      throw AtRestError(.damaged, "an audio chunk that does not give its original")
    }
    return original
  }

  private static func fill(
    _ planes: AudioPlanes, from payload: ArraySlice<UInt8>, _ header: AudioChunkHeader
  ) throws(AtRestError) {
    switch header.coder {
    case .flac:
      let isWhole = payload.withUnsafeBytes {
        FLACDecoder.perThread.value.decode($0, bits: header.numberBits, into: planes)
      }
      guard isWhole else { throw AtRestError(.damaged, "an audio chunk whose FLAC frames do not decode") }
    case .hybrid: try HybridDecoder.decode(payload, widths: HybridCoder.widths(header), into: planes)
    }
  }
}
