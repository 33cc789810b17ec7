// OpenSSL's cryptographic generator, seeded by the system: for keys, nonces and ids.

import COpenSSL

package struct SystemRandom: RandomNumberGenerator, Sendable {
  package init() {}

  package mutating func next() -> UInt64 {
    var word: UInt64 = 0
    withUnsafeMutableBytes(of: &word) { Self.fill($0) }
    return word
  }

  package static func bytes(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
      fill(UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count))
      used = count
    }
  }

  package static func fill(_ span: inout MutableRawSpan) {
    span.withUnsafeMutableBytes { fill($0) }
  }

  // A generator that cannot be seeded must never lead to a predictable key: the process ends.
  private static func fill(_ buffer: UnsafeMutableRawBufferPointer) {
    guard buffer.count > 0 else { return }
    must(RAND_bytes(buffer.baseAddress!.assumingMemoryBound(to: UInt8.self), Int32(buffer.count)), "RAND_bytes")
  }
}
