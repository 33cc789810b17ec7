// Where a replica's log stands when its process begins: what is known to be committed, and what its disk has behind.

package import Base
package import Formats

package struct ReplicaStanding: Sendable, Equatable {
  package var committed: Position
  /// Durable, behind `committed`, in order and without gaps.
  package var tail: [SealedRecord]
  /// The greatest place that the log had before a tail of it was cut; a cut makes it durable.
  package var reached: LogPlace

  package init(committed: Position = .start, tail: [SealedRecord] = [], reached: LogPlace = .start) {
    self.committed = committed
    self.tail = tail
    self.reached = reached
  }
}

/// What a standby may promise a reader: every write acknowledged before `asOf`, by this node's clock, is at or before
/// `index`, and that is published.
package struct ReplicaFreshness: Sendable, Equatable {
  package var asOf: Instant
  package var index: LogIndex

  package init(asOf: Instant, index: LogIndex) {
    self.asOf = asOf
    self.index = index
  }
}
