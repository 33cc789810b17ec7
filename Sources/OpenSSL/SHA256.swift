// SHA-256 (FIPS 180-4) in one call, on a context that each thread keeps.

package enum SHA256 {
  private static let hashers = PerThread { Hasher(.sha256) }

  /// 32 bytes.
  package static func hash(_ bytes: RawSpan) -> [UInt8] {
    let hasher = hashers.value
    hasher.update(bytes)
    return hasher.finish()
  }

  package static func hash(_ bytes: [UInt8]) -> [UInt8] { hash(bytes.span.bytes) }

  /// The hash of the parts one after the other.
  package static func hash(parts: [[UInt8]]) -> [UInt8] {
    let hasher = hashers.value
    for part in parts { hasher.update(part.span.bytes) }
    return hasher.finish()
  }

  /// The hash of two parts, into memory of at least 32 bytes: for chains of records, without any allocation.
  package static func hash(_ first: RawSpan, _ second: RawSpan, into digest: inout MutableRawSpan) {
    let hasher = hashers.value
    hasher.update(first)
    hasher.update(second)
    hasher.finish(into: &digest)
  }
}
