// Everything that can happen to a node's ownership, each one line in a trace.

package import Base
package import Formats

package enum OwnershipEvent: Sendable, Equatable, CustomStringConvertible {
  /// Begins a life. `life` is durable and greater than that of any earlier process of this node; `promises` is what its
  /// disk has.
  case start(life: UInt64, promises: [OwnershipPromise])
  /// The moment of the last `setTimer` has come.
  case tick
  case message(OwnershipMessage, from: NodeID)
  case answer(UInt64, OwnershipAnswer)
  /// What `persist` asked for is durable.
  case persisted(OwnershipPromise)
  /// From streams and membership.
  case hint(OwnershipHint, about: NodeID)
  /// The log or the loop stands still, or moves again: meanwhile no beats.
  case stalled(Bool)

  /// The log answers `fence`: nothing older than `epoch` will be acknowledged any more, and the last synced record is at
  /// `place`.
  case fenced(AccountID, Epoch, LogPlace)
  /// The last synced record is at `place`; said at least of the first record in an epoch.
  case synced(AccountID, LogPlace)
  /// As primary: what replicas have acknowledged.
  case acknowledged(AccountID, [NodeID: LogPlace])
  /// As primary: a record of this epoch is synced on a write set.
  case committed(AccountID, Epoch)
  /// A local write failed: this node's epoch is over.
  case localWriteFailed(AccountID)
  /// As primary: no write is in flight any more, and the successor has synced everything.
  case epochFinished(AccountID, Epoch)
  /// A damaged log has been built anew from the primary's, up to `place`.
  case rebuilt(AccountID, LogPlace)

  /// The operator or placement asks.
  case handOver(AccountID, to: NodeID)
  case changeVoters(AccountID, VoterSet, learners: [Voter])

  package var description: String {
    func name(_ account: AccountID) -> String { String(account.description.suffix(4)) }
    return switch self {
    case .start(let life, let promises): "start life \(life) promises \(promises)"
    case .tick: "tick"
    case .message(let message, let sender): "from \(sender.shortName) \(message)"
    case .answer(let request, let answer): "answer \(request) \(answer)"
    case .persisted(let promise): "persisted \(promise)"
    case .hint(let hint, let peer): "hint \(peer.shortName) \(hint)"
    case .stalled(let isStalled): isStalled ? "stalled" : "moves again"
    case .fenced(let account, let epoch, let place): "fenced \(name(account))@\(epoch) at \(place)"
    case .synced(let account, let place): "synced \(name(account)) \(place)"
    case .acknowledged(let account, let places): "acknowledged \(name(account)) by \(places.count)"
    case .committed(let account, let epoch): "committed \(name(account))@\(epoch)"
    case .localWriteFailed(let account): "local write failed \(name(account))"
    case .epochFinished(let account, let epoch): "finished \(name(account))@\(epoch)"
    case .rebuilt(let account, let place): "rebuilt \(name(account)) \(place)"
    case .handOver(let account, let node): "hand over \(name(account)) to \(node.shortName)"
    case .changeVoters(let account, let set, _):
      "change voters \(name(account)) to \(set.nodes.map(\.shortName).joined(separator: " "))"
    }
  }
}

/// Why a node may be gone.
package enum OwnershipHint: Sendable, Equatable, CaseIterable {
  /// Its host says that nobody listens there.
  case refused
  /// A stream to it ended without a goodbye.
  case closed
  /// What membership believes.
  case suspect
  case dead
}
