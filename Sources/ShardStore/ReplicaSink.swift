// What replication hears of the accounts' logs on this node. Called on the engine's threads, under an account's lock and
// in the order of its log: whoever hears it takes a note and returns.

package import Base
package import Formats

package protocol ReplicaSink: AnyObject, Sendable {
  /// As primary: these were handed to the log; the first follows what was handed before.
  func appended(_ account: AccountID, _ records: [SealedRecord])
  /// Durable on this node up to here.
  func synced(_ account: AccountID, _ position: Position)
  /// A write of the log failed: what follows `end` is gone from this node's log. A primary's epoch is over.
  func failed(_ account: AccountID, end: Position)
}

/// Where a replica's log stands when it is taken up.
package struct ReplicaStanding: Sendable {
  /// Published, and never cut.
  package var committed: Position
  /// Durable behind it, in order.
  package var tail: [SealedRecord]
  /// The greatest place that the log had before a tail was cut, as far as it still has what lay before the cut.
  package var reached: LogPlace

  package init(committed: Position, tail: [SealedRecord], reached: LogPlace) {
    self.committed = committed
    self.tail = tail
    self.reached = reached
  }
}
