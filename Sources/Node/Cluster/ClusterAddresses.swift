// Where others reach this node: what its certificates name and its record says.

import Base
import UVLoop

struct ClusterAddresses: Sendable {
  /// Where the fabric listens.
  var listen: SocketAddress
  /// An IP address, without a port.
  var host: String
  var fabric: SocketAddress
  var url: String

  init(_ configuration: NodeConfiguration) throws(NodeError) {
    let listening = configuration.listen.fabric
    listen = try Self.address(Self.numeric(listening.host), listening.port, "listen.fabric")
    host = Self.numeric(configuration.cluster.advertise ?? listening.host)
    fabric = try Self.address(host, listening.port, "cluster.advertise")
    guard host != "0.0.0.0", host != "::" else {
      throw NodeError(
        .invalid, "`cluster.advertise` is missing: name the IP address at which other nodes reach this one")
    }
    guard !configuration.control.isManaged || Self.hasRoomForEtcd(fabric) else {
      throw NodeError(.invalid, "`listen.fabric` wants a port from 1 to 65533: etcd listens on the two behind it")
    }
    let api = configuration.listen.api
    let isOpen = api.host == "0.0.0.0" || api.host == "::"
    url = "https://\(ListenAddress(host: isOpen ? host : api.host, port: api.port))"
  }

  /// The hosts that its certificates name.
  var hosts: [String] { Self.hosts(fabric: "\(fabric)", url: url) }

  /// Of any node, from its record.
  static func hosts(fabric: String, url: String) -> [String] {
    let api = ListenAddress(String(url.drop { $0 != "/" }.drop { $0 == "/" }))?.host
    let own = SocketAddress(fabric).flatMap { ListenAddress("\($0)")?.host }
    return Set([own, api].compactMap { $0 }).subtracting(["localhost"]).sorted()
  }

  /// Without its port.
  static func host(_ address: SocketAddress) -> String { ListenAddress("\(address)")?.host ?? "\(address)" }

  private static func numeric(_ host: String) -> String { host == "localhost" ? "127.0.0.1" : host }

  private static func address(_ host: String, _ port: Int, _ key: String) throws(NodeError) -> SocketAddress {
    guard let address = SocketAddress("\(ListenAddress(host: host, port: port))") else {
      throw NodeError(.invalid, "`\(key)` wants an IP address in a cluster, not the name \(host)")
    }
    return address
  }
}
