// What a replica needs from the node it runs on. Every call returns at once; answers come back as events.

package import Base

package protocol ReplicationPort {
  /// On the stream to that node, in order, while it is up.
  mutating func send(_ message: [UInt8], to node: NodeID)
  /// As primary of this epoch: does its lease hold at this moment? Else nothing is vouched for.
  mutating func mayVouch(_ account: AccountID, _ epoch: Epoch) -> Bool
  /// Everything but `send` and `setTimer`.
  mutating func perform(_ effect: ReplicationEffect, _ account: AccountID)
  /// Feeds `tick` at that instant; replaces the timer before of this account.
  mutating func setTimer(_ instant: Instant, _ account: AccountID)
}
