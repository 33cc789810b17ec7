// HKDF with SHA-256 (RFC 5869): several keys out of one.

package enum HKDF {
  /// `count` bytes, at most 255 · 32. An empty salt is the RFC's string of zeros.
  package static func derive(key: [UInt8], salt: [UInt8], info: [UInt8], count: Int) -> [UInt8] {
    derive(key: key.span.bytes, salt: salt, info: info, count: count)
  }

  package static func derive(key: SecretBytes, salt: [UInt8], info: [UInt8], count: Int) -> SecretBytes {
    var bytes = key.with { derive(key: $0, salt: salt, info: info, count: count) }
    return SecretBytes(wiping: &bytes)
  }

  private static func derive(key: RawSpan, salt: [UInt8], info: [UInt8], count: Int) -> [UInt8] {
    precondition(count > 0 && count <= 255 * 32, "HKDF gives 1 to 8160 bytes")
    var extracted = HMACSHA256.authenticate(key, key: salt.span.bytes)
    var output: [UInt8] = []
    output.reserveCapacity(count + 32)
    var block: [UInt8] = []
    var number: UInt8 = 0
    while output.count < count {
      number += 1
      block = HMACSHA256.authenticate(block + info + [number], key: extracted)
      output += block
    }
    output.removeLast(output.count - count)
    wipe(&extracted)
    wipe(&block)
    return output
  }
}
