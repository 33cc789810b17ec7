// What a merge shall bring back, from where, and what it does with rows that are otherwise now.

package import Base

/// What happens to a row that is there with other values, and to one that is not as the merge left it when that is undone.
package enum MergePolicy: String, Sendable, CaseIterable {
  /// Nothing is changed at all.
  case refuse
  /// What is there now stays.
  case keep
  /// The old version wins.
  case take
}

/// Which state of the account the rows are read from.
package enum MergePoint: Sendable, Equatable {
  case snapshot(SnapshotID)
  case moment(UnixMicroseconds)
}

/// The name of one merge: that of its job.
package typealias MergeID = UInt128

package struct MergeRequest: Sendable {
  package var id: MergeID
  package var from: MergePoint
  package var selection: RowSelection
  package var policy: MergePolicy
  /// Everything is tried, then rolled back.
  package var dryRun: Bool
  /// At most so many conflicts are told one by one; all are counted.
  package var listed: Int
  /// How long what undoes a merge is kept.
  package var keep: Duration
  /// At most one merge for the same key; 24 hours long.
  package var idempotency: (key: String, hash: [UInt8])?

  package static let listedMax = 10_000

  package init(
    id: MergeID, from: MergePoint, selection: RowSelection, policy: MergePolicy = .refuse, dryRun: Bool = false,
    listed: Int = 1_000, keep: Duration = .seconds(7 * 86_400), idempotency: (key: String, hash: [UInt8])? = nil
  ) {
    self.id = id
    self.from = from
    self.selection = selection
    self.policy = policy
    self.dryRun = dryRun
    self.listed = min(max(listed, 0), Self.listedMax)
    self.keep = keep
    self.idempotency = idempotency
  }
}

/// What a merge may cost: it holds the account's writer while it compares.
package enum MergeLimits {
  /// Rows and recordings that the patterns choose.
  package static let chosenMax = 1_000_000
  /// Rows and recordings that it changes; each is remembered for undo in the same transaction.
  package static let changedMax = 250_000
  /// Recordings that it brings back.
  package static let recordingsMax = 100_000
  /// Rows that wait until others have made room in a unique index.
  static let waitingMax = 10_000
  /// Of a value in a report; what is longer ends in "…".
  static let valueBytesMax = 1_024
  /// Of everything that a report lists.
  static let listBytesMax = 1 << 20
  /// Pages that a moment changed since its snapshot, in memory while rows of it are read: 256 MiB.
  static let momentPagesMax = 1 << 16
}
