// What forwarding asks of whoever knows which node leads an account.
//
// Answers are beliefs and may be old by the time they are used: the node that is asked looks again, and a read asks
// `mayServe` behind its pin.

package import Base
package import Formats

package protocol ShardRouting: Sendable {
  /// At once, from memory.
  func route(_ id: AccountID) -> ShardRoute
  /// As soon as somebody leads the account; `nobody` at the deadline.
  func waitForRoute(_ id: AccountID, until deadline: ContinuousClock.Instant) async -> ShardRoute
  /// Whether what was read just now may leave as the account's newest state: the lease of this epoch still holds.
  func mayServe(_ id: AccountID, _ epoch: Epoch) -> Bool

  /// Whether a replica lies here that may answer reads of a chosen age.
  func hasReplica(_ id: AccountID) -> Bool
  /// Every write that was acknowledged before this moment is in this node's replica; nil when that is not known.
  func freshAsOf(_ id: AccountID) -> ContinuousClock.Instant?
  /// True as soon as this node's replica shows everything up to `place`; false at the deadline.
  func waitUntilApplied(_ id: AccountID, _ place: LogPlace, until deadline: ContinuousClock.Instant) async -> Bool
}

extension ShardRouting {
  package func hasReplica(_ id: AccountID) -> Bool { false }
  package func freshAsOf(_ id: AccountID) -> ContinuousClock.Instant? { nil }
  package func waitUntilApplied(
    _ id: AccountID, _ place: LogPlace, until deadline: ContinuousClock.Instant
  ) async -> Bool { false }
}
