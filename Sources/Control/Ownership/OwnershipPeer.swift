// One other node: what it granted to this one, and what this one granted to it.

import Base
import Formats

struct OwnershipPeer: Sendable {
  static let never = Instant(nanoseconds: .min / 2)
  private static let beatsKept = 16

  let node: NodeID
  /// Its process, as far as it was heard.
  var life: UInt64 = 0

  // As holder: it granted.
  var leaseUntil = never
  /// Claims that its process has taken.
  var accepted: [AccountID: Epoch] = [:]
  /// Ended grants to confirm with the next beat.
  var toConfirm: [OwnershipClaim] = []
  private var sequence: UInt64 = 0
  /// The last beats, newest at the end.
  private var sent: [(sequence: UInt64, at: Instant)] = []

  // As granter: this node granted.
  var grantUntil = never
  /// Told in each reply until confirmed, by account.
  var ended: [OwnershipClaim] = []
  var beatAt = never
  /// A hint says that it is gone: true from then on, unless it beats before.
  var suspectAt: Instant?

  init(node: NodeID) { self.node = node }

  mutating func nextSequence(at now: Instant) -> UInt64 {
    sequence += 1
    if sent.count == Self.beatsKept { sent.removeFirst() }
    sent.append((sequence, now))
    return sequence
  }

  func sentAt(_ sequence: UInt64) -> Instant? { sent.last { $0.sequence == sequence }?.at }

  /// The process is another one, which knows nothing of what the earlier one granted.
  mutating func restarted(_ life: UInt64) {
    self.life = life
    accepted = [:]
    leaseUntil = Self.never
    ended = []
  }

  mutating func end(_ claim: OwnershipClaim) {
    ended.removeAll { $0.account == claim.account }
    ended.append(claim)
  }

  mutating func confirm(_ claim: OwnershipClaim) {
    ended.removeAll { $0.account == claim.account && $0.epoch <= claim.epoch }
  }
}
