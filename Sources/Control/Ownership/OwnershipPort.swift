// What ownership needs from the node it runs on. Every call returns at once; answers come back as events.

package import Base
package import Formats

package protocol OwnershipPort {
  /// To one node, before all bulk; may be lost.
  mutating func send(_ message: [UInt8], to node: NodeID)

  /// All entries below `prefix`; feeds `OwnershipDriver.listed`.
  mutating func list(_ request: UInt64, prefix: String)
  /// Feeds `OwnershipDriver.got`.
  mutating func get(_ request: UInt64, key: String)
  /// All or nothing: each key must still be at its revision. Feeds the answer `transacted` or `failed`.
  mutating func transact(_ request: UInt64, _ puts: [OwnershipPut])
  /// Ends any watch before. Feeds `OwnershipDriver.changed`, and at the end the answer `watchEnded`.
  mutating func watch(_ request: UInt64, prefix: String, from revision: Int64)

  /// Stores it durably in the place of what stood there for the account, then feeds `persisted`. In order per account.
  mutating func persist(_ promise: OwnershipPromise)
  /// To the log of a shard: `fence`, `configure`, `follow`, `acknowledge`, `lead`, `stop`, `finishEpoch`, `resumeEpoch`,
  /// `serving` and `damaged`.
  mutating func perform(_ effect: OwnershipEffect)
  /// Feeds `tick` at that instant; replaces the timer before.
  mutating func setTimer(_ instant: Instant)
}

/// One compare-and-set: `value` under `key`, when the key is still at `revision`.
package struct OwnershipPut: Sendable, Equatable {
  package var key: String
  package var value: [UInt8]
  package var revision: Int64
}
