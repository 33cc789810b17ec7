// The archived log of an account, from the archive's side.

import Base
package import ShardStore

extension AccountArchive {
  /// Whether there is an archived log. Blocks for a look at a directory.
  package func hasLog() throws(BackupError) -> Bool {
    try !ArchivedLog(disk: disk, layout: layout).names().isEmpty
  }

  /// Archives what is published of the account's log and is not archived yet. Does nothing while there is no snapshot.
  /// May run beside a snapshot; a second call waits for the first.
  @discardableResult
  package func archiveLog(of engine: Engine) async throws -> LogArchiveReport {
    try await LogArchiver(
      disk: disk, layout: layout, index: index, gate: gate, engine: engine, runBytes: logRunBytes,
      packBytesMax: packBytesMax
    ).run()
  }
}
