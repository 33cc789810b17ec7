// An IPv4 or IPv6 address with a port, as a value.
//
// Text is read strictly: `127.0.0.1:7402` or `[::1]:7402`, decimal without leading zeros, no names and no zones, so
// that one address has one spelling. An IPv4 address mapped into IPv6 is read as what it is, an IPv4 address.

internal import Glibc

package struct SocketAddress: Hashable, Sendable, Comparable, CustomStringConvertible {
  package let isIPv6: Bool
  /// The address in network order; IPv4 lies in the last 4 bytes.
  private let high: UInt64
  private let low: UInt64
  package let port: UInt16

  /// 4 or 16 bytes in network order; nil for another count.
  package init?(bytes: [UInt8], port: UInt16) {
    guard bytes.count == 4 || bytes.count == 16 else { return nil }
    let mapped = bytes.count == 16 && bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 255 && bytes[11] == 255
    let own = mapped ? Array(bytes[12...]) : bytes
    isIPv6 = own.count == 16
    high = own.dropLast(8).reduce(0) { $0 << 8 | UInt64($1) }
    low = own.suffix(8).reduce(0) { $0 << 8 | UInt64($1) }
    self.port = port
  }

  /// Reads `a.b.c.d:port` or `[v6]:port`; nil for anything else.
  package init?(_ text: String) {
    guard text.utf8.count <= 64, let colon = text.lastIndex(of: ":") else { return nil }
    guard let port = Self.number(text[text.index(after: colon)...], max: 65_535) else { return nil }
    let host = text[..<colon]
    if host.first == "[", host.last == "]" {
      guard let bytes = Self.ipv6(host.dropFirst().dropLast()) else { return nil }
      self.init(bytes: bytes, port: UInt16(port))
    } else {
      let parts = host.split(separator: ".", omittingEmptySubsequences: false).map { Self.number($0, max: 255) }
      let bytes = parts.compactMap { $0.map { UInt8($0) } }
      guard parts.count == 4, bytes.count == 4 else { return nil }
      self.init(bytes: bytes, port: UInt16(port))
    }
  }

  package static func loopback(port: UInt16 = 0) -> SocketAddress { SocketAddress(bytes: [127, 0, 0, 1], port: port)! }

  package func with(port: UInt16) -> SocketAddress { SocketAddress(bytes: bytes, port: port)! }

  /// 4 or 16 bytes in network order.
  package var bytes: [UInt8] {
    let all = [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) } }
    return isIPv6 ? all : Array(all.suffix(4))
  }

  package var description: String {
    guard isIPv6 else { return bytes.map(String.init).joined(separator: ".") + ":\(port)" }
    let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
      bytes.withUnsafeBytes { String(cString: inet_ntop(AF_INET6, $0.baseAddress!, buffer.baseAddress!, 64)) }
    }
    return "[\(text)]:\(port)"
  }

  package static func < (a: Self, b: Self) -> Bool {
    (a.isIPv6 ? 1 : 0, a.high, a.low, a.port) < (b.isIPv6 ? 1 : 0, b.high, b.low, b.port)
  }

  private static func number(_ text: Substring, max: Int) -> Int? {
    guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
    guard text.utf8.count == 1 || text.first != "0", let value = Int(text), value <= max else { return nil }
    return value
  }

  private static func ipv6(_ text: Substring) -> [UInt8]? {
    let allowed = Set("0123456789abcdefABCDEF:.".utf8)
    guard text.utf8.allSatisfy({ allowed.contains($0) }) else { return nil }
    var bytes = [UInt8](repeating: 0, count: 16)
    let read = bytes.withUnsafeMutableBytes { inet_pton(AF_INET6, String(text), $0.baseAddress!) }
    return read == 1 ? bytes : nil
  }
}

extension SocketAddress {
  /// Lends the address as the system's structure.
  func withSystemAddress<R>(_ body: (UnsafePointer<sockaddr>) -> R) -> R {
    var storage = sockaddr_storage()
    return withUnsafeMutableBytes(of: &storage) { raw in
      if isIPv6 {
        let address = raw.baseAddress!.assumingMemoryBound(to: sockaddr_in6.self)
        address.pointee.sin6_family = sa_family_t(AF_INET6)
        address.pointee.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &address.pointee.sin6_addr) { $0.copyBytes(from: bytes) }
      } else {
        let address = raw.baseAddress!.assumingMemoryBound(to: sockaddr_in.self)
        address.pointee.sin_family = sa_family_t(AF_INET)
        address.pointee.sin_port = port.bigEndian
        address.pointee.sin_addr.s_addr = UInt32(truncatingIfNeeded: low).bigEndian
      }
      return body(UnsafePointer(raw.baseAddress!.assumingMemoryBound(to: sockaddr.self)))
    }
  }

  /// Nil for a family that is neither of the two.
  init?(system address: UnsafePointer<sockaddr>) {
    let raw = UnsafeRawPointer(address)
    switch Int32(address.pointee.sa_family) {
    case AF_INET:
      let address = raw.assumingMemoryBound(to: sockaddr_in.self).pointee
      let bytes = withUnsafeBytes(of: address.sin_addr.s_addr) { [UInt8]($0) }
      self.init(bytes: bytes, port: UInt16(bigEndian: address.sin_port))
    case AF_INET6:
      let address = raw.assumingMemoryBound(to: sockaddr_in6.self).pointee
      let bytes = withUnsafeBytes(of: address.sin6_addr) { [UInt8]($0) }
      self.init(bytes: bytes, port: UInt16(bigEndian: address.sin6_port))
    default: return nil
    }
  }
}
