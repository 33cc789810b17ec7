// What the holder of a certificate may do in a handshake.

package enum X509Usage: Sendable, CaseIterable {
  /// Accepts connections, and opens them: a node does both, and etcd's JSON gateway shows its server's certificate
  /// when it calls that server.
  case server
  /// Opens connections only.
  case client

  var extended: String { self == .server ? "serverAuth,clientAuth" : "clientAuth" }
}
