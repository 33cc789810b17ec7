// An address of a host, as far as the rules about targets need it: which network it lies in.

package struct IPAddress: Sendable, Equatable, CustomStringConvertible {
  /// Four or sixteen.
  package let bytes: [UInt8]

  package init?(bytes: [UInt8]) {
    guard bytes.count == 4 || bytes.count == 16 else { return nil }
    self.bytes = bytes
  }

  /// Dotted decimal with four parts, or RFC 4291's text without a zone.
  package init?(_ text: String) {
    if let four = Self.four(text) {
      bytes = four
    } else if let sixteen = Self.sixteen(text) {
      bytes = sixteen
    } else {
      return nil
    }
  }

  private static func four(_ text: some StringProtocol) -> [UInt8]? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var bytes: [UInt8] = []
    for part in parts {
      // "010" is eight for some and ten for others.
      guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (48...57).contains($0) }),
        part == "0" || !part.hasPrefix("0"), let byte = UInt8(part)
      else { return nil }
      bytes.append(byte)
    }
    return bytes
  }

  private static func sixteen(_ text: String) -> [UInt8]? {
    let halves = text.split(separator: "::", omittingEmptySubsequences: false)
    guard halves.count <= 2, text.contains(":") else { return nil }
    var sides: [[UInt8]] = []
    for half in halves {
      guard let side = groups(half) else { return nil }
      sides.append(side)
    }
    if sides.count == 1 { return sides[0].count == 16 ? sides[0] : nil }
    let missing = 16 - sides[0].count - sides[1].count
    guard missing >= 2 else { return nil }
    return sides[0] + [UInt8](repeating: 0, count: missing) + sides[1]
  }

  private static func groups(_ text: Substring) -> [UInt8]? {
    if text.isEmpty { return [] }
    var bytes: [UInt8] = []
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    for (at, part) in parts.enumerated() {
      if at == parts.count - 1, let last = four(part) {
        bytes += last
        continue
      }
      guard (1...4).contains(part.utf8.count), part.utf8.first != UInt8(ascii: "+"), let group = UInt16(part, radix: 16)
      else { return nil }
      bytes += [UInt8(group >> 8), UInt8(group & 0xFF)]
    }
    return bytes.count <= 16 ? bytes : nil
  }

  package var description: String {
    if bytes.count == 4 { return bytes.map(String.init).joined(separator: ".") }
    return stride(from: 0, to: 16, by: 2).map { String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16) }
      .joined(separator: ":")
  }

  /// In a network that the whole world can reach: none that IANA's registries of special-purpose addresses (RFC 6890)
  /// keep from it. An IPv6 address that carries an IPv4 one is what that one is.
  package var isPublic: Bool {
    if bytes.count == 4 { return !Self.special4.contains { Self.lies(bytes, in: $0.network, $0.bits) } }
    if let inner = embedded { return inner.isPublic }
    return !Self.special6.contains { Self.lies(bytes, in: $0.network, $0.bits) }
  }

  /// Mapped and compatible addresses, the well-known prefix of NAT64, and 6to4.
  private var embedded: IPAddress? {
    if bytes[..<10].allSatisfy({ $0 == 0 }), bytes[10] == bytes[11], bytes[10] == 0 || bytes[10] == 0xFF,
      bytes[12...] != [0, 0, 0, 0], bytes[12...] != [0, 0, 0, 1]
    {
      return IPAddress(bytes: Array(bytes[12...]))
    }
    if bytes.starts(with: [0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0]) {
      return IPAddress(bytes: Array(bytes[12...]))
    }
    if bytes.starts(with: [0x20, 0x02]) { return IPAddress(bytes: Array(bytes[2..<6])) }
    return nil
  }

  private static func lies(_ bytes: [UInt8], in network: [UInt8], _ bits: Int) -> Bool {
    for at in 0..<(bits + 7) / 8 {
      let mask: UInt8 = bits - at * 8 >= 8 ? 0xFF : ~(0xFF >> UInt8(bits - at * 8))
      let wanted = at < network.count ? network[at] : 0
      if bytes[at] & mask != wanted & mask { return false }
    }
    return true
  }

  private static let special4: [(network: [UInt8], bits: Int)] = [
    ([0], 8), ([10], 8), ([100, 64], 10), ([127], 8), ([169, 254], 16), ([172, 16], 12), ([192, 0, 0], 24),
    ([192, 0, 2], 24), ([192, 88, 99], 24), ([192, 168], 16), ([198, 18], 15), ([198, 51, 100], 24),
    ([203, 0, 113], 24),
    ([224], 4), ([240], 4),
  ]
  private static let special6: [(network: [UInt8], bits: Int)] = [
    ([0], 8), ([0x01, 0x00], 64), ([0x20, 0x01], 23), ([0x20, 0x01, 0x0D, 0xB8], 32), ([0x3F, 0xFF], 20), ([0x5F], 16),
    ([0xFC], 7), ([0xFE, 0x80], 10), ([0xFE, 0xC0], 10), ([0xFF], 8),
  ]
}
