// Everything that can happen to one replica, each one line in a trace.

package import Base
package import Formats

package enum ReplicationEvent: Sendable, Equatable, CustomStringConvertible {
  // What ownership wants, in the order of its effects.
  case configure(OwnershipRecord)
  case follow(Epoch)
  case fence(Epoch)
  case acknowledge(Epoch)
  case lead(Epoch)
  /// Said when the writer has stopped, and all that it appended was told.
  case stop(Epoch)
  /// Said when the writer is paused, and all that it appended was told.
  case finish(Epoch, successor: NodeID)
  case resume(Epoch)

  /// As primary: handed to the local log, in order.
  case appended([SealedRecord])
  /// The local log is durable up to here.
  case synced(Position)
  /// A local write failed; the durable log ends here.
  case failed(Position)
  /// Answers `cut(after:)`, with the same position.
  case cutDone(Position)
  /// Bytes and keys of these are durable here.
  case available([RecordingID])
  /// Answers `read`; nil when the log no longer reaches back so far. Never empty.
  case read(for: NodeID, from: LogIndex, [SealedRecord]?)
  /// A base was installed, with so many records behind it that the log is at least as far as it ever was: what was
  /// durable before may be on no other disk, and is given up only for a log that has it.
  case rebased(ReplicaStanding)
  /// As standby: a reader wants to see something newer.
  case refresh

  /// Its frames have been held against their checksums; `naming` has the recordings that records of kind 4 name, by
  /// index.
  case message(ReplicationMessage, from: NodeID, naming: [LogIndex: [RecordingID]] = [:])
  /// A stream to this peer begins, or the last one ended. Peers count as down until they are said to be up.
  case peerUp(NodeID)
  case peerDown(NodeID)
  /// The moment of the last `setTimer` has come.
  case tick

  package var description: String {
    switch self {
    case .configure(let record): "configure \(record)"
    case .follow(let epoch): "follow @\(epoch)"
    case .fence(let epoch): "fence @\(epoch)"
    case .acknowledge(let epoch): "acknowledge @\(epoch)"
    case .lead(let epoch): "lead @\(epoch)"
    case .stop(let epoch): "stop @\(epoch)"
    case .finish(let epoch, let node): "finish @\(epoch) for \(node.shortName)"
    case .resume(let epoch): "resume @\(epoch)"
    case .appended(let records): "appended \(records.span)"
    case .synced(let position): "synced \(position)"
    case .failed(let position): "failed, durable \(position)"
    case .cutDone(let position): "cut done \(position)"
    case .available(let ids): "available \(ids.count)"
    case .read(let node, let from, let records): "read for \(node.shortName) from \(from) \(records?.span ?? "gone")"
    case .rebased(let standing): "rebased \(standing.committed)"
    case .refresh: "refresh"
    case .message(let message, let sender, _): "from \(sender.shortName) \(message)"
    case .peerUp(let node): "up \(node.shortName)"
    case .peerDown(let node): "down \(node.shortName)"
    case .tick: "tick"
    }
  }
}

extension [SealedRecord] {
  /// First and last position, for traces.
  var span: String {
    guard let first, let last else { return "nothing" }
    return count == 1 ? "\(first.position)" : "\(first.position)-\(last.position)"
  }
}
