// One shard of which this node has, or is to have, a replica. It lives on the loop, inside `ShardService`.
//
// What ownership wants of it is done in its order, one thing after the other, because some of it waits for the engine.

import Base
import Formats
import Replication

final class ShardReplica {
  enum Step {
    case load
    case event(ReplicationEvent)
    case lead(Epoch)
    case stop
    case pause(Epoch, then: @Sendable () -> Void)
    case resume(Epoch)
    case cut(Position)
  }

  let account: AccountID
  var record: OwnershipRecord?
  /// Nil until its log was looked at, and while there is none.
  var driver: ReplicationDriver?
  var isLoading = false
  /// A base is on its way.
  var isFetching = false
  /// For the machine that is not there yet.
  var early: [ReplicationEvent] = []
  /// Messages that wait until it is known which recordings the first of them names.
  var unnamed: [(ReplicationMessage, NodeID)] = []

  var steps: [Step] = []
  /// One of them waits for the engine.
  var isWaiting = false
  /// The writer is paused in this epoch: it ends for a successor, or for other voters.
  var paused: Epoch?
  /// That epoch has ended; the writer stays paused until it is known whether it goes on.
  var holdsStop = false

  /// Epochs in a row that the engine could not begin.
  var leadFailures = 0
  /// Of the last `setTimer`.
  var timer: Instant?
  /// The last record that the log was given.
  var handed: LogIndex = 0
  /// As the table has it.
  var freshness: ReplicaFreshness?

  init(_ account: AccountID) { self.account = account }

  /// Nodes that it speaks with.
  func peers(but node: NodeID) -> [NodeID] {
    guard let record else { return [] }
    return (record.electors + record.learners.map(\.node)).filter { $0 != node }
  }
}

extension OwnershipRecord {
  /// Is it to have a replica?
  func names(_ node: NodeID) -> Bool { counts(node) || learners.contains { $0.node == node } }
}
