// What the node asks of exports, as a seam beside that of backups.

package import Backup
package import Base

package protocol NodeExports: Sendable {
  /// Exports the account; nothing is left when it throws. What dead writers left is removed; `isRunning` knows the others.
  func export(
    _ account: AccountID, _ order: ExportOrder, isRunning: @escaping @Sendable (ExportID) -> Bool
  ) async throws -> ExportInfo
  /// Oldest first.
  func exports(of account: AccountID) async throws -> [ExportInfo]
  /// The bytes of one.
  func openExport(_ account: AccountID, _ info: ExportInfo) async throws -> ExportFile
  /// False when there was none.
  func removeExport(_ account: AccountID, _ id: ExportID) async throws -> Bool
}
