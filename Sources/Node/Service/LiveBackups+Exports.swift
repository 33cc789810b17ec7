// Exports of a running node: beside each account's archive.

import Backup
import Base
import Disk

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

  func openExport(_ account: AccountID, _ info: ExportInfo) async throws -> any DiskFile {
    let store = accountExports(account).store
    return try await blocking { try store.open(info) }
  }

  func removeExport(_ account: AccountID, _ id: ExportID) async throws -> Bool {
    try await accountExports(account).remove(id)
  }
}
