// Everything that a node's ownership wants done, in this order, each one line in a trace.

package import Base
package import Formats

package enum OwnershipEffect: Sendable, Equatable, CustomStringConvertible {
  case send(OwnershipMessage, to: NodeID)
  case request(UInt64, OwnershipRequest)
  /// Make it durable, then say `persisted`.
  case persist(OwnershipPromise)

  /// To the log: acknowledge nothing older than `epoch` from now on, then say `fenced`.
  case fence(AccountID, Epoch)
  /// This is who owns the shard now: voters, learners, primary.
  case configure(OwnershipRecord)
  /// The epoch is adopted: its records may be stored.
  case follow(AccountID, Epoch)
  /// What was synced in this epoch may be acknowledged from now on.
  case acknowledge(AccountID, Epoch)
  /// Be the primary of this epoch: append its first record and replicate.
  case lead(OwnershipRecord)
  /// Be it no longer. What is not acknowledged is unknown.
  case stop(AccountID, Epoch)
  /// Take no more writes; when all are committed and the successor has them, say `epochFinished`.
  case finishEpoch(AccountID, Epoch, successor: NodeID)
  /// The hand-over is off: take writes again.
  case resumeEpoch(AccountID, Epoch)
  /// Reads and writes may be served now, while the leases hold.
  case serving(AccountID, Epoch)
  /// Its log lost records that it may have acknowledged: alarm, and build it anew.
  case damaged(AccountID)
  /// The one timer; replaces the one before.
  case setTimer(Instant)

  package var description: String {
    func name(_ account: AccountID, _ epoch: Epoch) -> String { "\(String(account.description.suffix(4)))@\(epoch)" }
    return switch self {
    case .send(let message, let node): "to \(node.shortName) \(message)"
    case .request(let number, let request): "request \(number) \(request)"
    case .persist(let promise): "persist \(promise)"
    case .fence(let account, let epoch): "fence \(name(account, epoch))"
    case .configure(let record): "configure \(record)"
    case .follow(let account, let epoch): "follow \(name(account, epoch))"
    case .acknowledge(let account, let epoch): "acknowledge \(name(account, epoch))"
    case .lead(let record): "lead \(record)"
    case .stop(let account, let epoch): "stop \(name(account, epoch))"
    case .finishEpoch(let account, let epoch, let node): "finish \(name(account, epoch)) for \(node.shortName)"
    case .resumeEpoch(let account, let epoch): "resume \(name(account, epoch))"
    case .serving(let account, let epoch): "serving \(name(account, epoch))"
    case .damaged(let account): "damaged \(String(account.description.suffix(4)))"
    case .setTimer(let instant): "timer \(instant)"
    }
  }
}
