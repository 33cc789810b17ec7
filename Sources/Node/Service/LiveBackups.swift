// The backups of a running node: each account's archive below the configured directory, opened by the node's
// key-encryption key.

import AtRest
import Backup
import Base
import Disk
import Formats
import ShardStore
import Threads

final class LiveBackups: AccountBackups {
  let engine: Engine
  let disk: any Disk
  let root: String
  let unlock: KeyringUnlock
  private let clock: any StoreClock
  let recordings: SnapshotRecordings
  /// Archives whose lists of chunks are in memory. A few: a list costs some tens of bytes a chunk.
  private let open = Lock<[AccountID: AccountArchive]>([:])
  private static let openMax = 16
  /// What those who write into one archive share; some hundred bytes for each account that was ever archived here.
  private let gates = Lock<[AccountID: ArchiveGate]>([:])

  init(engine: Engine, disk: any Disk, archive: String, keyEncryption: any KeyEncryption, clock: any StoreClock) {
    self.engine = engine
    self.disk = disk
    self.clock = clock
    root = archive
    unlock = .keyEncryption(keyEncryption)
    recordings = SnapshotRecordings(disk: disk)
  }

  /// One that is not kept: nothing of what the log's archiver needs lies in the lists of chunks.
  func logArchive(_ account: AccountID) -> AccountArchive {
    open.with { $0[account] } ?? newArchive(account)
  }

  private func newArchive(_ account: AccountID) -> AccountArchive {
    let gate = gates.with { gates in
      if let gate = gates[account] { return gate }
      let gate = ArchiveGate()
      gates[account] = gate
      return gate
    }
    let clock = clock
    return AccountArchive(
      disk: disk, layout: ArchiveLayout(root: root, account: account), clock: { clock.unixMicroseconds() }, gate: gate)
  }

  func archive(_ account: AccountID) -> AccountArchive {
    open.with { open in
      if let archive = open[account] { return archive }
      if open.count >= Self.openMax { open = [:] }
      let archive = newArchive(account)
      open[account] = archive
      return archive
    }
  }

  func snapshot(
    _ account: AccountID, _ kind: SnapshotKind, progress: @escaping Progress
  ) async throws -> SnapshotInfo {
    try await archive(account).createSnapshot(of: engine, kind: kind, cancel: JobScope.current.cancel) { fraction in
      progress(fraction, fraction < 0.5 ? "storing" : "proving")
    }
  }

  func snapshots(of account: AccountID) async throws -> [SnapshotInfo] {
    let layout = ArchiveLayout(root: root, account: account)
    let disk = disk
    guard try await blocking({ try disk.info(layout.manifests) }) != nil else { return [] }
    return try await archive(account).list().snapshots
  }

  func plan(_ account: AccountID, _ snapshot: SnapshotID) async throws -> [String: String] {
    let plan = try await archive(account).plan(snapshot, unlockedBy: unlock)
    return [
      "database_bytes": "\(plan.databaseBytes)", "recordings": "\(plan.recordings)",
      "recording_bytes": "\(plan.recordingBytes)", "erased": "\(plan.erased)",
      "missing_chunks": "\(plan.missingChunks)",
    ]
  }

  func restore(
    _ account: AccountID, _ snapshot: SnapshotID, as target: AccountID,
    placed: @escaping @Sendable () async throws -> Void,
    progress: @escaping Progress
  ) async throws -> [String: String] {
    var request = Backup.RestoreRequest(snapshot: snapshot, as: target, unlockedBy: unlock) {
      progress($0, "restoring")
    }
    request.control = Self.control
    let report = try await archive(account).restore(request, into: engine, placed: placed)
    return [
      "erased": "\(report.erased.count)", "resumed": "\(report.isResumed)", "chunks_read": "\(report.chunksRead)",
    ]
  }

  /// As the job that runs this wants it.
  static var control: RestoreControl {
    var control = RestoreControl()
    (control.cancel, control.note) = (JobScope.current.cancel, JobScope.current.note)
    return control
  }

  func diff(
    _ account: AccountID, _ request: DiffRequest, progress: @escaping Progress
  ) async throws -> DiffReport {
    let diff = SnapshotDiff(disk: disk, layout: ArchiveLayout(root: root, account: account), unlockedBy: unlock)
    return try await diff.run(request, in: engine, cancel: JobScope.current.cancel) { progress($0, "comparing") }
  }

  func removeArchive(of account: AccountID) async throws {
    open.with { $0[account] = nil }
    gates.with { $0[account] = nil }
    let disk = disk
    let directory = ArchiveLayout(root: root, account: account).directory
    try await blocking {
      // The keyring first: what is left after a crash then opens for nobody.
      let keyring = directory + "/keyring"
      if try disk.info(keyring) != nil { try disk.remove(keyring) }
      try Self.removeTree(directory, disk)
    }
  }

  private static func removeTree(_ path: String, _ disk: any Disk) throws(DiskError) {
    guard let info = try disk.info(path) else { return }
    guard info.isDirectory else { return try disk.remove(path) }
    for name in try disk.list(path) { try removeTree(path + "/" + name, disk) }
    try disk.removeDirectory(path)
  }
}
