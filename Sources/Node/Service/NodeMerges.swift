// What the node asks of merges, as a seam beside that of backups.

package import Backup
package import Base

package protocol NodeMerges: Sendable {
  /// Brings rows and recordings of an old state back into the account. Throws `MergeRefused` when nothing was changed
  /// because of what was found.
  func merge(
    _ account: AccountID, _ request: MergeRequest, progress: @escaping @Sendable (Double, String) -> Void
  ) async throws -> MergeReport
  /// Takes back what one merge did; likewise.
  func undoMerge(_ account: AccountID, _ request: MergeUndoRequest) async throws -> MergeReport
  /// What a restore of the chosen part would bring, in words.
  func planSelection(
    _ account: AccountID, _ point: MergePoint, _ selection: RowSelection
  ) async throws -> [String: String]
  /// Builds `target` from the chosen part; otherwise as a restore of all.
  func restoreSelection(
    _ account: AccountID, _ point: MergePoint, _ selection: RowSelection, as target: AccountID,
    placed: @escaping @Sendable () async throws -> Void, progress: @escaping @Sendable (Double, String) -> Void
  ) async throws -> [String: String]
}
