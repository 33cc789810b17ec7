// Where a node's fabric listens: an IP address and the one port number for datagrams and streams. Never a host name: a
// member must not depend on a resolver to be reached.

import Base

public struct GossipAddress: Hashable, Sendable, CustomStringConvertible {
  /// 4 or 16 bytes, as on the wire.
  public let host: [UInt8]
  public let port: UInt16

  /// Nil for a host of another length.
  public init?(host: [UInt8], port: UInt16) {
    guard host.count == 4 || host.count == 16 else { return nil }
    self.host = host
    self.port = port
  }

  var byteCount: Int { 1 + host.count + 2 }

  func encode(to w: inout ByteWriter) {
    w.put(UInt8(host.count))
    w.put(raw: host)
    w.put(port)
  }

  init(from r: inout GossipReader) throws(FormatError) {
    let start = r.offset
    let count = Int(try r.take(UInt8.self))
    guard count == 4 || count == 16 else { throw FormatError(.damaged, "an address of \(count) bytes", at: start) }
    host = Array(try r.take(raw: count))
    port = try r.take()
  }

  /// `10.0.0.1:7402`, or `[fe80:…]:7402` without abbreviation.
  public var description: String {
    if host.count == 4 { return host.map { "\($0)" }.joined(separator: ".") + ":\(port)" }
    let groups = stride(from: 0, to: 16, by: 2).map { String(Int(host[$0]) << 8 | Int(host[$0 + 1]), radix: 16) }
    return "[" + groups.joined(separator: ":") + "]:\(port)"
  }
}
