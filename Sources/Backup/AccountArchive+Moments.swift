// Moments of an account, from the archive's side: which there are, what restoring one would do, and the restore itself.

package import AtRest
package import Base
package import ShardStore

/// Which moment is to become which account, and what opens its archive.
package struct MomentRequest: Sendable {
  package var moment: UnixMicroseconds
  /// Must not exist in the engine.
  package var account: AccountID
  package var unlock: KeyringUnlock
  /// Hears fractions from 0 to 1.
  package var progress: @Sendable (Double) -> Void
  /// A record that is left out: what a test plants to convict its checker. Nil in every release.
  package var skipped: LogIndex?

  package init(
    at moment: UnixMicroseconds, as account: AccountID, unlockedBy unlock: KeyringUnlock,
    progress: @escaping @Sendable (Double) -> Void = { _ in }
  ) {
    self.moment = moment
    self.account = account
    self.unlock = unlock
    self.progress = progress
  }
}

extension AccountArchive {
  /// What can be restored, by time. Needs no key.
  package func moments() async throws -> [MomentSpan] {
    let (disk, layout) = (disk, layout)
    return try await BackupWork.perform { try MomentMap.read(disk, layout).spans }
  }

  /// What restoring `moment` would do: the newest state that is not after it. `.notFound` before everything, `.refused` in
  /// a gap of the log.
  package func plan(at moment: UnixMicroseconds, unlockedBy unlock: KeyringUnlock) async throws -> RestorePlan {
    let (disk, layout) = (disk, layout)
    return try await BackupWork.perform {
      let opener = try ArchivedAccountKeys.read(disk: disk, layout: layout, unlockedBy: unlock)
      return try MomentReader.open(at: moment, disk: disk, layout: layout, opener).restorePlan
    }
  }

  /// Builds `account` as this one was at a moment; otherwise as `restore` of a snapshot.
  package func restore(
    _ request: MomentRequest, into engine: Engine, placed: @Sendable () async throws -> Void = {}
  ) async throws -> RestoreReport {
    guard request.account != layout.account else {
      throw BackupError(.refused, "a restored account has an id of its own; \(request.account) is the archive's")
    }
    let (disk, layout) = (disk, layout)
    let report = try await BackupWork.perform {
      let opener = try ArchivedAccountKeys.read(disk: disk, layout: layout, unlockedBy: request.unlock)
      var reader = try MomentReader.open(
        at: request.moment, disk: disk, layout: layout, opener, verifying: true)
      reader.replay.skipped = request.skipped
      let target: RestoreBuilder
      do {
        target = try engine.beginRestore(
          as: request.account, base: reader.plan.end, pageCount: reader.plan.databasePages,
          recordingName: opener.recordingName)
      } catch { throw BackupError(anyOf: error) }
      let (plan, erased) = try MomentRestore(reader: reader).run(into: target, progress: request.progress)
      return RestoreReport(plan: plan, account: request.account, erased: erased)
    }
    do { try await placed() } catch { throw BackupError(anyOf: error) }
    if !report.erased.isEmpty { try await removeErased(report, in: engine) }
    return report
  }
}
