// What the node knows about an account: its name, its options, its state. Kept sealed in the control store under the
// account's opaque id; nothing of it stands in a path, a key or a log line.

package import Base

/// Life of an account on this node.
package enum AccountState: String, Sendable, Codable {
  /// Its shard is being made; a start of the node that finds this removes what is there.
  case creating
  /// A restore writes it; the same holds.
  case restoring
  case active
  /// Its shard is being removed; a start of the node goes on with that.
  case deleting
  /// Gone, with its archive still inside the retention: it can be restored under a name.
  case deleted
}

/// What the acknowledgement of a write survives.
package enum Survival: String, Sendable, Codable, CaseIterable {
  /// One node stands alone: losing its disk loses what the archive does not have.
  case none
  case node
  case region
}

package struct AccountOptions: Sendable, Equatable, Codable {
  package var home: String?
  /// The goal; nil for the loss of a node, where three nodes may hold the account.
  package var survive: Survival?
  package var residency: [String]
  /// The operator knows that writes stop when one node or region of too few is lost, and wants the account all the same.
  package var acceptsWritesStop: Bool?
  /// An IANA name: the nightly snapshot follows it.
  package var timezone: String

  package init(
    home: String? = nil, survive: Survival? = nil, residency: [String] = [], acceptsWritesStop: Bool? = nil,
    timezone: String = "UTC"
  ) {
    self.home = home
    self.survive = survive
    self.residency = residency
    self.acceptsWritesStop = acceptsWritesStop
    self.timezone = timezone
  }
}

package struct AccountRecord: Sendable, Equatable {
  package var id: AccountID
  package var name: String
  package var createdAt: UnixMicroseconds
  package var deletedAt: UnixMicroseconds?
  package var state: AccountState
  package var options: AccountOptions
  package var home: String
  /// The node that its shard was made on, and which answers for its archive; nil in a store that never knew more than
  /// one. Who leads it now is for `ShardService` to say.
  package var primary: NodeID?
  /// Ids of its last restores in place, the newest last: which account a job was about, when its node has forgotten it. What
  /// undoes them lies in the account's own database.
  package var restores: [String] = []
  /// What holds now, whatever the goal says; looked up when the record is shown, never stored.
  package var survives = Survival.none

  package var timezone: String { options.timezone }
  package var residency: [String] { options.residency }
  /// True when requests may use it.
  package var isActive: Bool { state == .active }
}

/// An account together with where its shard stands.
package struct AccountStatus: Sendable {
  package var record: AccountRecord
  /// Name of the node that acknowledges.
  package var primary: String
  package var standbys: [String]
  /// Replicas that catch up and count for nothing yet.
  package var learners: [String] = []
  /// Of its ownership; 0 on a node that stands alone.
  package var epoch: Epoch = 0
  /// Nil when the node that holds the account does not answer.
  package var position: Position?
}
