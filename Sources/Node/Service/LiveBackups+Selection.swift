// Restores of a part of a running node's accounts, out of its own archive.

import Backup
import Base
import ShardStore

extension LiveBackups {
  func planSelection(
    _ account: AccountID, _ point: MergePoint, _ selection: RowSelection
  ) async throws -> [String: String] {
    try await logArchive(account).plan(SelectionRequest(point, selection, unlockedBy: unlock)).words
  }

  func restoreSelection(
    _ account: AccountID, _ point: MergePoint, _ selection: RowSelection, as target: AccountID,
    placed: @escaping @Sendable () async throws -> Void, progress: @escaping @Sendable (Double, String) -> Void
  ) async throws -> [String: String] {
    try await logArchive(account).restore(
      SelectionRequest(point, selection, unlockedBy: unlock), as: target, into: engine, placed: placed
    ) { progress($0, "restoring") }.words
  }
}

extension SelectionSummary {
  /// As a job's result shows it.
  var words: [String: String] {
    [
      "only_rows": "\(rows)", "only_tables": "\(tables.count)", "recordings": "\(recordings)",
      "recording_bytes": "\(recordingBytes)", "database_bytes": "\(databaseBytes)",
      "bytes": "\(databaseBytes + recordingBytes)", "erased": "\(erased)", "left_out": "everything else",
    ]
  }
}
