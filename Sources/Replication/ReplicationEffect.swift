// Everything that a replica wants done, in this order, each one line in a trace.

package import Base
package import Formats

package enum ReplicationEffect: Sendable, Equatable, CustomStringConvertible {
  case send(ReplicationMessage, to: NodeID)
  /// To the local log; then say `synced`.
  case store([SealedRecord])
  /// Quarantine what follows, then say `cutDone`. The cut is durable by then, and so is the place that the log had: what
  /// is stored behind it may be of older epochs than what went (`ReplicaStanding.reached`).
  case cut(after: Position)
  /// Have bytes and keys of these, from that node, then say `available`; at once for what is here already.
  case demand([RecordingID], from: NodeID)
  case read(for: NodeID, from: LogIndex, bytesMax: Int)
  /// Committed: to be seen by readers. Always the last record of a group, durable here, and never less than before.
  case publish(Position)
  /// As primary: this peer needs a base, and was told.
  case rebase(for: NodeID)
  /// As replica: fetch a base from there and records behind it, install both at once, say `rebased`.
  case needBase(from: NodeID)

  // To ownership, whose events have the same names.
  case fenced(Epoch, LogPlace)
  case synced(LogPlace)
  case committed(Epoch)
  case epochFinished(Epoch)
  case acknowledged([NodeID: LogPlace])
  case localWriteFailed

  /// Alarm. When it is this replica that is damaged it stores, acknowledges and answers `fence` no more.
  case damaged(String)
  /// The one timer; replaces the one before.
  case setTimer(Instant)

  package var description: String {
    switch self {
    case .send(let message, let node): "to \(node.shortName) \(message)"
    case .store(let records): "store \(records.span)"
    case .cut(let position): "cut after \(position)"
    case .demand(let ids, let node): "demand \(ids.count) recordings from \(node.shortName)"
    case .read(let node, let from, _): "read for \(node.shortName) from \(from)"
    case .publish(let position): "publish \(position)"
    case .rebase(let node): "rebase for \(node.shortName)"
    case .needBase(let node): "need a base from \(node.shortName)"
    case .fenced(let epoch, let place): "fenced @\(epoch) at \(place)"
    case .synced(let place): "synced \(place)"
    case .committed(let epoch): "committed @\(epoch)"
    case .epochFinished(let epoch): "finished @\(epoch)"
    case .acknowledged(let places): "acknowledged by \(places.count)"
    case .localWriteFailed: "local write failed"
    case .damaged(let why): "DAMAGED: \(why)"
    case .setTimer(let instant): "timer \(instant)"
    }
  }
}
