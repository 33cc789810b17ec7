// Restores in place, from the archive's side.

package import Base
package import ShardStore

extension AccountArchive {
  /// Makes the account what it was, in one transaction of its log; every replica gets it as any other. It must be led here.
  /// `.refused` when more differs than one transaction may change; `.damaged`, `.notFound` as for a restore. Whatever is
  /// thrown but `.unknown`, nothing of the account has changed, except by the last check: its message says so.
  package func restoreInPlace(_ request: InPlaceRequest, in engine: Engine) async throws -> InPlaceReport {
    try await InPlaceRestore(archive: self, engine: engine, request: request).run()
  }

  /// Transactions of the account that came behind `position`, as far as its log is archived.
  package func transactions(after position: Position) async throws -> Int {
    let (disk, layout) = (disk, layout)
    return try await BackupWork.perform {
      try MomentPlanner(disk: disk, layout: layout).transactions(after: position, through: .max)
    }
  }
}
