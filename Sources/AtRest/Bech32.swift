// Bech32 (BIP 173) as age uses it for keys: without the limit of 90 characters, since a prefix and 32 bytes need no
// more anyway, and in one case throughout.

package enum Bech32 {
  private static let alphabet = Array("qpzry9x8gf2tvdw0s3jn54khce6mua7l".utf8)
  private static let generator: [UInt32] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3]
  private static let textMax = 256

  /// `prefix` in lower case.
  package static func encode(prefix: String, _ bytes: [UInt8]) -> String {
    let values = regroup(bytes, from: 8, to: 5, padding: true)!
    let checksum = polymod(expand(prefix) + values + [UInt8](repeating: 0, count: 6)) ^ 1
    let tail = (0..<6).map { UInt8(checksum >> UInt32(5 * (5 - $0)) & 31) }
    return prefix + "1" + String(decoding: (values + tail).map { alphabet[Int($0)] }, as: UTF8.self)
  }

  /// Prefix in lower case and bytes; nil for anything that is not bech32, mixed case included.
  package static func decode(_ text: String) -> (prefix: String, bytes: [UInt8])? {
    let raw = Array(text.utf8)
    guard raw.count <= textMax, raw.allSatisfy({ (33...126).contains($0) }) else { return nil }
    let lower = raw.map { (65...90).contains($0) ? $0 + 32 : $0 }
    let hasUpper = raw.contains { (65...90).contains($0) }
    let hasLower = raw.contains { (97...122).contains($0) }
    guard !(hasUpper && hasLower) else { return nil }
    guard let one = lower.lastIndex(of: UInt8(ascii: "1")), one > 0, lower.count - one - 1 >= 6 else { return nil }
    let prefix = String(decoding: lower[..<one], as: UTF8.self)
    var values: [UInt8] = []
    for character in lower[(one + 1)...] {
      guard let value = alphabet.firstIndex(of: character) else { return nil }
      values.append(UInt8(value))
    }
    guard polymod(expand(prefix) + values) == 1, let bytes = regroup(values.dropLast(6), from: 5, to: 8, padding: false)
    else { return nil }
    return (prefix, bytes)
  }

  private static func expand(_ prefix: String) -> [UInt8] {
    prefix.utf8.map { $0 >> 5 } + [0] + prefix.utf8.map { $0 & 31 }
  }

  private static func polymod(_ values: [UInt8]) -> UInt32 {
    var checksum: UInt32 = 1
    for value in values {
      let top = checksum >> 25
      checksum = (checksum & 0x1ff_ffff) << 5 ^ UInt32(value)
      for i in 0..<5 where top >> UInt32(i) & 1 == 1 { checksum ^= generator[i] }
    }
    return checksum
  }

  /// Splits a string of bits anew. Without padding, what is left over must be less than a group, and zero.
  private static func regroup(
    _ values: some Collection<UInt8>, from: UInt32, to: UInt32, padding: Bool
  ) -> [UInt8]? {
    var bits: UInt32 = 0
    var count: UInt32 = 0
    var output: [UInt8] = []
    for value in values {
      bits = (bits << from | UInt32(value)) & 0xfff
      count += from
      while count >= to {
        count -= to
        output.append(UInt8(bits >> count & (1 << to - 1)))
      }
    }
    let rest = bits & (1 << count - 1)
    if padding {
      if count > 0 { output.append(UInt8(rest << (to - count))) }
    } else if count >= from || rest != 0 {
      return nil
    }
    return output
  }
}
