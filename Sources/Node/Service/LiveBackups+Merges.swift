// Merges into a running node's accounts, out of its own archive.

import Backup
import Base
import ShardStore

extension LiveBackups {
  private func merges(_ account: AccountID) -> AccountMerge {
    AccountMerge(disk: disk, layout: ArchiveLayout(root: root, account: account), unlockedBy: unlock)
  }

  func merge(
    _ account: AccountID, _ request: MergeRequest, progress: @escaping @Sendable (Double, String) -> Void
  ) async throws -> MergeReport {
    try await merges(account).run(request, in: engine, progress: progress)
  }

  func undoMerge(_ account: AccountID, _ request: MergeUndoRequest) async throws -> MergeReport {
    try await merges(account).undo(request, in: engine)
  }
}
