// A member of an etcd cluster: as the cluster lists it, and as it speaks of itself.

package struct EtcdMember: Sendable, Equatable {
  package var id: UInt64
  /// Empty until it first started.
  package var name: String
  package var peerURLs: [String]
  package var clientURLs: [String]
  /// Receives everything and counts in no quorum.
  package var isLearner: Bool

  package var isStarted: Bool { !name.isEmpty }

  package init(id: UInt64, name: String, peerURLs: [String], clientURLs: [String], isLearner: Bool) {
    self.id = id
    self.name = name
    self.peerURLs = peerURLs
    self.clientURLs = clientURLs
    self.isLearner = isLearner
  }

  init(_ message: EtcdMessage.Member) {
    self.init(
      id: message.id.value, name: message.name ?? "", peerURLs: message.peerURLs ?? [],
      clientURLs: message.clientURLs ?? [], isLearner: message.isLearner ?? false)
  }
}

/// What one member says of itself.
package struct EtcdMemberStatus: Sendable, Equatable {
  package var id: UInt64
  /// Nil while it knows of none: then it cannot change anything, nor read what is not stale.
  package var leader: UInt64?
  package var version: String
  package var storedBytes: Int64
  package var term: Int64
  package var index: Int64
  package var appliedIndex: Int64
  package var isLearner: Bool
  /// Such as `NOSPACE`, when its quota is used up.
  package var errors: [String]

  package var isLeader: Bool { leader == id }
  package var isHealthy: Bool { leader != nil && errors.isEmpty }

  init(_ message: EtcdMessage.StatusResponse) {
    id = message.header.memberID.value
    leader = message.leader.flatMap { $0.value == 0 ? nil : $0.value }
    version = String((message.version ?? "").prefix(32))
    storedBytes = message.dbSize?.value ?? 0
    term = message.raftTerm?.value ?? 0
    index = message.raftIndex?.value ?? 0
    appliedIndex = message.raftAppliedIndex?.value ?? 0
    isLearner = message.isLearner ?? false
    errors = (message.errors ?? []).prefix(8).map { String($0.prefix(200)) }
  }
}

/// A member with what it said when it was asked; nil when it did not answer.
package struct EtcdMemberView: Sendable, Equatable {
  package var member: EtcdMember
  package var isHealthy: Bool
  package var isLeader: Bool
  package var status: EtcdMemberStatus?

  package init(_ member: EtcdMember, isHealthy: Bool, isLeader: Bool = false) {
    self.member = member
    self.isHealthy = isHealthy
    self.isLeader = isLeader
  }

  init(_ member: EtcdMember, _ status: EtcdMemberStatus?) {
    self.member = member
    // Somebody else may answer at its address.
    let own = status.flatMap { $0.id == member.id ? $0 : nil }
    self.status = own
    isHealthy = own?.isHealthy ?? false
    isLeader = own?.isLeader ?? false
  }
}
