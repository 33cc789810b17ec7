// What an account is to become again, and who asks.

package import AtRest
package import Base
package import ShardStore

/// A state of an account that its archive can give back.
package enum ArchivedState: Sendable, Equatable, CustomStringConvertible {
  case snapshot(SnapshotID)
  /// The newest state that is not after it.
  case moment(UnixMicroseconds)
  /// Right behind this record.
  case position(Position)

  package var description: String {
    switch self {
    case .snapshot(let id): "snapshot \(id)"
    case .moment(let moment): RFC3339.text(moment)
    case .position(let position): "position \(position)"
    }
  }
}

package struct InPlaceRequest: Sendable {
  package var state: ArchivedState
  package var unlock: KeyringUnlock
  /// Names the restore, 16 bytes: what an undo is asked for by.
  package var id: [UInt8]
  /// The restore that this one undoes.
  package var undoes: [UInt8]?
  /// The same request is done once.
  package var request: Idempotency?
  /// Only say what would be done, rows counted by table.
  package var dryRun: Bool
  /// Hears fractions from 0 to 1, and what is done.
  package var progress: @Sendable (Double, String) -> Void

  package init(
    _ state: ArchivedState, id: [UInt8], unlockedBy unlock: KeyringUnlock, undoes: [UInt8]? = nil,
    request: Idempotency? = nil, dryRun: Bool = false,
    progress: @escaping @Sendable (Double, String) -> Void = { _, _ in }
  ) {
    self.state = state
    self.id = id
    self.unlock = unlock
    self.undoes = undoes
    self.request = request
    self.dryRun = dryRun
    self.progress = progress
  }
}

/// What a restore in place did, or would do.
package struct InPlaceReport: Sendable {
  /// Nil when the same request had done it before.
  package var plan: RestorePlan?
  /// Pages that differ, and of how many.
  package var changedPages = 0
  package var databasePages = 0
  /// Recordings that rows name again; of them, those whose bytes come out of the archive.
  package var returning = 0
  package var broughtBack = 0
  package var broughtBackBytes: UInt64 = 0
  /// Recordings that no row names any more.
  package var vanishing = 0
  /// Recordings of that state whose keys were destroyed: neither they nor their rows come back.
  package var erased: [RecordingID] = []
  /// The account's state before; an undo leads there.
  package var before: Position?
  /// Durable up to here, the restore's own record included.
  package var position: Position?
  /// Rows by table, of a dry run.
  package var diff: DiffReport?
  /// The same request had done it before, as this restore.
  package var isRepeated = false
  package var restore: [UInt8]?
  /// The state before is not in the archive yet, and why; the next round of the log's archiver tries again.
  package var archiveFailure: String?

  package init() {}
}
