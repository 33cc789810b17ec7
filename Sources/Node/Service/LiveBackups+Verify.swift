// Verifications and single recordings of a running node's archives.

import Backup
import Base
import Disk
import Formats
import ShardStore

extension LiveBackups {
  func verify(
    _ account: AccountID, _ wanted: VerifyOrder, progress: @escaping Progress
  ) async throws -> VerifyReport {
    var order = wanted
    order.cancel = JobScope.current.cancel
    let layout = ArchiveLayout(root: root, account: account)
    // A part of it is one of many: the archive keeps where the next one begins.
    if order.isPart { order.cursor = "\(layout.directory)/\(VerifyCursor.fileName)" }
    let (disk, unlock, verified) = (disk, unlock, order)
    return try await blocking {
      try VerifyArchive(disk: disk, layout: layout, verified).run(
        unlockedBy: unlock, now: SystemClock().unixMicroseconds()
      ) { progress($0, "reading back") }
    }
  }

  func recording(_ account: AccountID, _ key: String, at point: SnapshotRecordings.Point) async throws
    -> SnapshotRecording
  {
    let (recordings, unlock) = (recordings, unlock)
    let layout = ArchiveLayout(root: root, account: account)
    return try await blocking { try recordings.open(key, at: point, layout, unlockedBy: unlock) }
  }
}
