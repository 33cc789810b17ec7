// What the node asks of the archived log and of the moments that it gives back.

package import Backup
package import Base

package protocol MomentBackups: Sendable {
  typealias Progress = @Sendable (Double, String) -> Void

  /// Archives what is published of the account's log and is not archived yet; nothing while there is no snapshot. Gives
  /// the index up to which the log is archived.
  func archiveLog(_ account: AccountID) async throws -> LogIndex?
  /// Whether this node's archive has a log of the account that goes on where the last round ended.
  func hasLog(_ account: AccountID) async throws -> Bool
  /// What can be restored from this node's archive, by time.
  func moments(of account: AccountID) async throws -> [MomentSpan]
  /// What a restore to `moment` would do, in words.
  func plan(_ account: AccountID, at moment: UnixMicroseconds) async throws -> [String: String]
  /// As `restore` of a snapshot, to `moment`.
  func restore(
    _ account: AccountID, at moment: UnixMicroseconds, as target: AccountID,
    placed: @escaping @Sendable () async throws -> Void, progress: @escaping Progress
  ) async throws -> [String: String]
}
