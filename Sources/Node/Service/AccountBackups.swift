// What the node asks of backups, as a seam: the live one uses `Backup` on the real disk, tests put in their own.

package import Backup
package import Base
package import Formats

package protocol AccountBackups: MomentBackups, InPlaceBackups, NodeExports, NodeMerges, ArchiveUpkeep,
  VerifyBackups
{

  /// Takes a snapshot and proves it.
  func snapshot(_ account: AccountID, _ kind: SnapshotKind, progress: @escaping Progress) async throws -> SnapshotInfo
  /// Newest last. Empty when there is no archive.
  func snapshots(of account: AccountID) async throws -> [SnapshotInfo]
  /// What a restore of the snapshot would read, in words.
  func plan(_ account: AccountID, _ snapshot: SnapshotID) async throws -> [String: String]
  /// Builds `target`, which the engine does not have, from a snapshot of `account`. `placed` runs when it lies in its
  /// place and nothing was written to it yet.
  func restore(
    _ account: AccountID, _ snapshot: SnapshotID, as target: AccountID,
    placed: @escaping @Sendable () async throws -> Void,
    progress: @escaping Progress
  ) async throws -> [String: String]
  /// What differs between two states of the account.
  func diff(_ account: AccountID, _ request: DiffRequest, progress: @escaping Progress) async throws -> DiffReport
  /// Removes the archive of an account that is gone.
  func removeArchive(of account: AccountID) async throws
}
