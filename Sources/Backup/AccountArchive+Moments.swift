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
  package var control = RestoreControl()

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
    let (report, keys) = try await BackupWork.perform {
      let opener = try ArchivedAccountKeys.read(disk: disk, layout: layout, unlockedBy: request.unlock)
      return (try ResumableRestore(disk: disk, layout: layout, engine: engine, opener: opener).build(request), opener)
    }
    return try await finish(report, in: engine, keys, isMoment: true, placed)
  }
}
