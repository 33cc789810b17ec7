// Zstandard (RFC 8878) in one call, on contexts that each thread keeps.

import OpenSSL

package enum Zstd {
  private static let compressors = PerThread { ZstdCompressor() }
  private static let decompressors = PerThread { ZstdDecompressor() }

  /// One frame that names its content size. Levels -7 to 19; the negative ones are the fastest.
  package static func compress(_ bytes: RawSpan, level: Int = 1) -> [UInt8] {
    compressors.value.compress(bytes, level: level)
  }

  package static func compress(_ bytes: [UInt8], level: Int = 1) -> [UInt8] {
    compress(bytes.span.bytes, level: level)
  }

  /// As `compress`, but lends the frame from memory that the thread keeps.
  package static func compress<R>(_ bytes: [UInt8], level: Int = 1, _ body: (UnsafeRawBufferPointer) -> R) -> R {
    compressors.value.compress(bytes.span.bytes, level: level, body)
  }

  /// The content of a frame; `.tooLarge` when it would be more than `limit` bytes, which is known before anything is
  /// allocated.
  package static func decompress(_ bytes: RawSpan, limit: Int) throws(AtRestError) -> [UInt8] {
    try decompressors.value.decompress(bytes, limit: limit)
  }

  package static func decompress(_ bytes: [UInt8], limit: Int) throws(AtRestError) -> [UInt8] {
    try decompress(bytes.span.bytes, limit: limit)
  }
}
