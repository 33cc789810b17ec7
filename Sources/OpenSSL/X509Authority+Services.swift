// Certificates for other software, such as etcd: a short common name, and the hosts that a client may know it by.
//
// They carry no identity of ours, so no fabric takes them. Like a node's they are made from a request, of which only
// the key is believed: name, usage and hosts come from the caller.

import Glibc

extension X509Authority {
  /// `name` is 1 to 64 of letters, digits, `.`, `_` and `-`; each of `hosts` an IP address or a DNS name.
  package func issue(
    _ request: String, name: String, usage: X509Usage, hosts: [String], validity: ClosedRange<Int64>
  ) throws(X509Error) -> X509Certificate {
    guard (1...64).contains(name.utf8.count), name.utf8.allSatisfy({ Self.isPlain($0) || $0 == 0x5F || $0 == 0x2E })
    else { throw X509Error(.identity, "a common name has 1 to 64 letters, digits, dots, hyphens and underscores") }
    var alternatives: [String] = []
    for host in hosts {
      if Self.isAddress(host) {
        alternatives.append("IP:\(host)")
      } else if Self.isDomain(host) {
        alternatives.append("DNS:\(host)")
      } else {
        throw X509Error(.identity, "a certificate names IP addresses and DNS names, not \(host.debugDescription)")
      }
    }
    return try issue(
      request, subject: name, usage: usage, alternatives: alternatives.joined(separator: ","), validity)
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x2D
  }

  static func isAddress(_ host: String) -> Bool {
    // C would stop at a zero byte and see less than what goes into the certificate.
    guard host.utf8.allSatisfy({ isPlain($0) || $0 == 0x2E || $0 == 0x3A }) else { return false }
    return withUnsafeTemporaryAllocation(byteCount: 16, alignment: 4) { bytes in
      inet_pton(AF_INET, host, bytes.baseAddress) == 1 || inet_pton(AF_INET6, host, bytes.baseAddress) == 1
    }
  }

  private static func isDomain(_ host: String) -> Bool {
    guard host.utf8.count <= 253 else { return false }
    return host.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
      (1...63).contains(label.utf8.count) && label.utf8.allSatisfy(isPlain) && !label.hasPrefix("-")
        && !label.hasSuffix("-")
    }
  }
}
