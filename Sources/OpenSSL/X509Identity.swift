// Who a certificate speaks for: the one URI among its alternative names, komora://CLUSTER/REGION/ID/ROLE.
//
// Cluster and region are 1 to 63 characters of a-z, 0-9 and the hyphen; the id has 32 lower-case hexadecimal digits. One
// identity has one spelling, so two texts are the same identity only if they are equal.

package import Base

package struct X509Identity: Hashable, Sendable, CustomStringConvertible {
  package enum Role: String, Sendable, CaseIterable {
    /// A member of the cluster.
    case node
    /// A client library: account requests with the caller's own token, nothing else.
    case client
  }

  package let cluster: String
  package let region: String
  package let id: NodeID
  package let role: Role

  package init(cluster: String, region: String, id: NodeID, role: Role) throws(X509Error) {
    guard Self.isName(cluster), Self.isName(region) else {
      throw X509Error(.identity, "cluster and region are 1 to 63 of a-z, 0-9 and -")
    }
    self.cluster = cluster
    self.region = region
    self.id = id
    self.role = role
  }

  /// Reads the URI; nil for anything that `uri` would not write.
  package init?(uri: String) {
    guard uri.utf8.count <= 256, uri.hasPrefix("komora://") else { return nil }
    let parts = uri.dropFirst(9).split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 4, let id = NodeID(parts[2]), let role = Role(rawValue: parts[3]) else { return nil }
    guard let own = try? X509Identity(cluster: parts[0], region: parts[1], id: id, role: role) else { return nil }
    self = own
  }

  package var uri: String { "komora://\(cluster)/\(region)/\(id)/\(role.rawValue)" }
  package var description: String { uri }

  private static func isName(_ text: String) -> Bool {
    (1...63).contains(text.utf8.count)
      && text.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }
  }
}
