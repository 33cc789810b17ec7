// What the node asks of verifications, and of single recordings out of snapshots.

package import Backup
package import Base

package protocol VerifyBackups: Sendable {
  typealias Progress = @Sendable (Double, String) -> Void

  /// Reads as much of the account's archive as is wanted; damage is a finding and no error.
  func verify(_ account: AccountID, _ order: VerifyOrder, progress: @escaping Progress) async throws -> VerifyReport
  /// One recording as a snapshot or a moment has it.
  func recording(_ account: AccountID, _ key: String, at point: SnapshotRecordings.Point) async throws
    -> SnapshotRecording
}
