// What an archive needs now and then: small runs of its log joined, and what its window has left behind let go.

package import AtRest
package import Base
import Disk
import Formats

package struct UpkeepRequest: Sendable {
  /// Moments from here on stay restorable; what only older ones need goes.
  package var border: UnixMicroseconds
  /// Dates the proof of what stays.
  package var now: UnixMicroseconds
  package var unlock: KeyringUnlock
  /// Copied out of packs that are mostly waste, in one round.
  package var copyBytesMax: UInt64
  /// Called before something is removed: closes what is held open only to be quick.
  package var beforeRemoving: @Sendable () -> Void = {}

  package init(
    border: UnixMicroseconds, now: UnixMicroseconds, unlockedBy unlock: KeyringUnlock, copyBytesMax: UInt64 = 256 << 20
  ) {
    self.border = border
    self.now = now
    self.unlock = unlock
    self.copyBytesMax = copyBytesMax
  }
}

package struct UpkeepReport: Sendable, Equatable {
  /// Runs of the log that are parts of others now.
  package var joinedRuns = 0
  package var expiredSnapshots = 0
  package var expiredRuns = 0
  package var removedPacks = 0
  /// Of files that are gone.
  package var freedBytes: UInt64 = 0
  package var copiedBytes: UInt64 = 0
  /// Something is to go, but somebody reads in the archive: for the next round.
  package var isDeferred = false

  package init() {}
}

extension AccountArchive {
  /// One round. Does nothing where there is no archive. Throws when what would stay is not whole, and then nothing is gone.
  package func upkeep(_ request: UpkeepRequest) async throws -> UpkeepReport {
    try await gate.upkeep.run {
      do {
        var report = UpkeepReport()
        guard try await exists() else { return report }
        try await gate.archiver.run { try await joinRuns(request, &report) }
        try await expire(request, &report)
        return report
      } catch { throw BackupError(anyOf: error) }
    }
  }

  private func exists() async throws -> Bool {
    let (disk, path) = (disk, layout.manifests)
    return try await BackupWork.perform { try disk.info(path) != nil }
  }

  private func joinRuns(_ request: UpkeepRequest, _ report: inout UpkeepReport) async throws {
    let (disk, layout) = (disk, layout)
    let rollUp = LogRollUp(disk: disk, layout: layout, runBytes: logRunBytes)
    let (joined, isHeld) = try await BackupWork.perform {
      let covered = try rollUp.run()
      guard !covered.isEmpty else { return (0, true) }
      request.beforeRemoving()
      guard let hold = try disk.hold(layout.directory, .alone) else { return (0, false) }
      return try withExtendedLifetime(hold) {
        try rollUp.remove(covered)
        return (covered.count, true)
      }
    }
    report.joinedRuns = joined
    report.isDeferred = !isHeld
  }

  private func expire(_ request: UpkeepRequest, _ report: inout UpkeepReport) async throws {
    let (disk, layout) = (disk, layout)
    let expiry = ArchiveExpiry(disk: disk, layout: layout, unlock: request.unlock)
    let proven = try await BackupWork.perform { () throws -> (ExpiryPlan, Set<ChunkName>)? in
      guard let plan = try expiry.plan(border: request.border) else { return nil }
      return (plan, try expiry.prove(plan, now: request.now))
    }
    guard let (plan, chunks) = proven else { return }
    let sweep = PackSweep(disk: disk, layout: layout, index: index, gate: gate, packBytesMax: packBytesMax)
    // From here on no snapshot may begin to share a chunk, and no run may name a recording, that is about to go.
    let (packs, isHeld) = try await gate.chunks.run {
      try await gate.archiver.run {
        try await BackupWork.perform {
          let needed = try expiry.needed(plan, chunks)
          request.beforeRemoving()
          // Before anything is copied: a round that is put off must not leave copies behind, time after time.
          guard let hold = try disk.hold(layout.directory, .alone) else { return (PackSweep.Plan(), false) }
          return try withExtendedLifetime(hold) {
            let packs = try sweep.prepare(needed, copyBytesMax: request.copyBytesMax)
            try expiry.remove(plan)
            try sweep.remove(packs)
            return (packs, true)
          }
        }
      }
    }
    report.copiedBytes = packs.copiedBytes
    guard isHeld else { return report.isDeferred = true }
    report.expiredSnapshots = plan.snapshots.count
    report.expiredRuns = plan.runs.count
    report.removedPacks = packs.packs.count
    report.freedBytes = packs.bytes + plan.runs.reduce(0) { $0 + UInt64($1.header.fileBytes) }
  }
}
