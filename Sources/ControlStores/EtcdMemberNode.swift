// A node that may carry a member of the managed etcd.

package struct EtcdMemberNode: Sendable, Equatable {
  /// The name of its member: the node's id, so that a node that lost its disk is somebody else.
  package var id: String
  package var region: String
  package var zone: String
  /// Of its member: `https://HOST:PORT`, fabric port + 1 and + 2.
  package var clientURL: String
  package var peerURL: String
  /// It can be given a member now.
  package var isAlive: Bool

  package init(id: String, region: String, zone: String, clientURL: String, peerURL: String, isAlive: Bool) {
    self.id = id
    self.region = region
    self.zone = zone
    self.clientURL = clientURL
    self.peerURL = peerURL
    self.isAlive = isAlive
  }

  func carries(_ member: EtcdMember) -> Bool {
    member.peerURLs.contains(peerURL) && (!member.isStarted || member.name == id)
  }
}

/// One change of the members.
package enum EtcdMemberStep: Sendable, Equatable {
  /// As a learner, which the node then starts.
  case add(EtcdMemberNode)
  /// From learner to voter; `.busy` says that it is too early.
  case promote(UInt64)
  case remove(UInt64)
}
