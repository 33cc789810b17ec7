// Errors that the simulation can tell the machine to make, so that its checkers prove that they would find them. Empty
// in every product; no checker can see them.

package struct ReplicationBugs: OptionSet, Sendable {
  package let rawValue: Int
  package init(rawValue: Int) { self.rawValue = rawValue }
  /// A replica acknowledges what it handed to its disk, not what the disk has.
  package static let acknowledgeEarly = ReplicationBugs(rawValue: 1)
  /// A fenced voter goes on storing and acknowledging for the old epoch.
  package static let skipFence = ReplicationBugs(rawValue: 2)
  /// A record is stored and acknowledged without the recordings that it names.
  package static let ignoreRecordings = ReplicationBugs(rawValue: 4)
  /// A part of a transaction is published.
  package static let publishParts = ReplicationBugs(rawValue: 8)
  /// A standby takes the time of receipt for the time up to which it is fresh.
  package static let freshByReceipt = ReplicationBugs(rawValue: 16)
  /// A primary counts replicas of an earlier epoch's record (Raft 5.4.2).
  package static let commitOlderEpoch = ReplicationBugs(rawValue: 32)
}
