// Bytes of an audio chunk that are not samples: file headers, text, what is left of a sample frame at a chunk's border.
// They are kept as they are, or as a zstd frame when there are many and that is smaller.

import Formats

struct Verbatim {
  let lengths: AudioChunkHeader.Verbatim
  /// As they stand in the chunk.
  let bytes: [UInt8]

  init(_ original: Slice<UnsafeRawBufferPointer>) {
    var bytes = Array(original)
    if bytes.count > AudioChunkHeader.verbatimBytesMax {
      let frame = Zstd.compress(bytes)
      if frame.count < bytes.count { bytes = frame }
    }
    self.bytes = bytes
    lengths = AudioChunkHeader.Verbatim(originalBytes: original.count, codedBytes: bytes.count)
  }

  /// Takes them back from the front of `bytes`.
  static func take(
    _ lengths: AudioChunkHeader.Verbatim, from bytes: inout ArraySlice<UInt8>
  ) throws(AtRestError) -> [UInt8] {
    guard lengths.codedBytes <= bytes.count else { throw AtRestError(.damaged, "an audio chunk that ends early") }
    let coded = Array(bytes.prefix(lengths.codedBytes))
    bytes = bytes.dropFirst(lengths.codedBytes)
    if coded.count == lengths.originalBytes { return coded }
    let original = try Zstd.decompress(coded, limit: lengths.originalBytes)
    guard original.count == lengths.originalBytes else {
      throw AtRestError(.damaged, "a verbatim part of \(original.count) bytes, not \(lengths.originalBytes)")
    }
    return original
  }
}
