// Exports of a running node: beside each account's archive.

import AtRest
import Backup
import Base
import Disk
import ShardStore

extension LiveBackups {
  private func accountExports(_ account: AccountID) -> AccountExports {
    AccountExports(disk: disk, layout: ArchiveLayout(root: root, account: account))
  }

  func export(
    _ account: AccountID, _ order: ExportOrder, isRunning: @escaping @Sendable (ExportID) -> Bool
  ) async throws -> ExportInfo {
    let exports = accountExports(account)
    try await exports.removeUnfinished(except: isRunning)
    return try await exports.create(order, of: engine)
  }

  func exports(of account: AccountID) async throws -> [ExportInfo] { try await accountExports(account).list() }

  func openExport(_ account: AccountID, _ info: ExportInfo) async throws -> ExportFile {
    let store = accountExports(account).store
    let (engine, disk, unlock) = (engine, disk, unlock)
    return try await blocking {
      // Of an account that is deleted, or that another node holds, the keys lie beside the archive.
      let owner =
        try (try? engine.keyring(account).agreement.private)
        ?? ArchivedAccountKeys.read(disk: disk, layout: store.layout, unlockedBy: unlock).agreement
      return try store.open(info, owner: owner)
    }
  }

  func removeExport(_ account: AccountID, _ id: ExportID) async throws -> Bool {
    try await accountExports(account).remove(id)
  }
}
