import AtRest
import Backup
import Base
import Disk
import Formats
import ShardStore
import Simulator
import Testing
import Threads

/// Faults at every single place of a restore: an account is there whole or not at all, and running it again works.
@Suite struct RestoreFaultTests {
  private static let account = AccountID(bits: 0xA)
  private static let copy = AccountID(bits: 0xB)
  private static let changing: Set<DiskOperation.Kind> = [
    .write, .sync, .truncate, .create, .makeDirectory, .rename, .remove, .syncDirectory,
  ]

  /// What the restore does, as against the engine's own maintenance.
  @Sendable private static func isRestore(_ path: String) -> Bool {
    path.contains(".restore-") || path.contains("\(copy)") || path.hasSuffix("/accounts")
  }

  private struct Prepared {
    /// The machine is off; each `crash()` brings it up again.
    let disk: ForgetfulDisk
    let snapshot: SnapshotID
    let fingerprint: [String]
  }

  private func prepare() async throws -> Prepared {
    let disk = ForgetfulDisk(seed: 3)
    let store = try TestStore.open(disk, logFileBytes: 256 << 10)
    try await store.makeAccount(Self.account, rows: 20, recordings: 2)
    let fingerprint = try await store.fingerprint(Self.account)
    let info = try await store.archive(Self.account).createSnapshot(of: store.engine, kind: .manual)
    store.engine.close()
    disk.stop()
    return Prepared(disk: disk, snapshot: info.id, fingerprint: fingerprint)
  }

  private func restore(_ store: TestStore, _ snapshot: SnapshotID) async throws {
    let request = RestoreRequest(snapshot: snapshot, as: Self.copy, unlockedBy: .keyEncryption(store.kek))
    _ = try await store.archive(Self.account).restore(request, into: store.engine)
  }

  /// After a restart: the copy is whole or absent, nothing of it lies about, and a new attempt brings it.
  private func check(_ disk: ForgetfulDisk, _ prepared: Prepared, restored: Bool) async throws {
    let store = try TestStore.open(disk, logFileBytes: 256 << 10)
    defer { store.engine.close() }
    let accounts = store.engine.accounts()
    #expect(accounts == [Self.account] || accounts == [Self.account, Self.copy])
    if restored { #expect(accounts.contains(Self.copy)) }
    if !accounts.contains(Self.copy) { try await restore(store, prepared.snapshot) }
    #expect(try await store.fingerprint(Self.copy) == prepared.fingerprint)
    #expect(try await store.fingerprint(Self.account) == prepared.fingerprint)
    #expect(try disk.list("/node/accounts") == ["\(Self.account)", "\(Self.copy)"])
  }

  /// Runs one restore with `fault` at the `nth` of its operations; false when it has fewer.
  private func attempt(_ prepared: Prepared, _ fault: DiskFault, at nth: Int) async throws -> Bool {
    let disk = prepared.disk.crash()
    let store = try TestStore.open(disk, logFileBytes: 256 << 10)
    let plan = FaultPlan(fault, at: nth, of: Self.changing, matches: Self.isRestore)
    disk.onOperation(plan.decide)
    var restored = false
    do {
      try await restore(store, prepared.snapshot)
      restored = true
    } catch { #expect(error is BackupError, "\(error)") }
    disk.onOperation(nil)
    guard plan.fired else {
      store.engine.close()
      return false
    }
    let next = disk.crash()
    store.engine.close()
    try await check(next, prepared, restored: restored)
    return true
  }

  @Test("a crash at each operation of a restore leaves the account whole or absent, and it can be run again")
  func crashes() async throws {
    let prepared = try await prepare()
    var count = 0
    for moment in DiskFault.Moment.allCases {
      var n = 1
      while try await attempt(prepared, .stop(moment), at: n) { n += 1 }
      count += n - 1
    }
    #expect(count >= 30, "only \(count) places")
  }

  @Test("a failure of each operation of a restore is reported and leaves the account whole or absent")
  func failures() async throws {
    let prepared = try await prepare()
    var count = 0
    for fault in [DiskFault.fail(.io), .failHalf(.full)] {
      var n = 1
      while try await attempt(prepared, fault, at: n) { n += 1 }
      count += n - 1
    }
    #expect(count >= 20, "only \(count) places")
  }

  private func leave(_ bytes: Int, on disk: ForgetfulDisk) throws {
    let all = 1 << 40
    disk.capacityBytes = all
    disk.capacityBytes = all - Int(try disk.freeBytes("/")) + bytes
  }

  @Test("a full disk refuses snapshot and restore clearly; with room again both work")
  func fullDisk() async throws {
    let prepared = try await prepare()
    let disk = prepared.disk.crash()
    let store = try TestStore.open(disk, logFileBytes: 256 << 10)
    defer { store.engine.close() }
    // A commit-log file is there already; what is left is less than a copy of the account.
    try await store.addRecording(Self.account, "large.wav", bytes: 600_000, seed: 1)
    try leave(100_000, on: disk)
    for _ in 0..<2 {
      do {
        _ = try await store.archive(Self.account).createSnapshot(of: store.engine, kind: .manual)
        Issue.record("a snapshot on a full disk")
      } catch { #expect((error as? BackupError)?.code == .diskFull, "\(error)") }
    }
    #expect(try await store.archive(Self.account).list().snapshots.map(\.id) == [prepared.snapshot])
    disk.capacityBytes = nil
    let info = try await store.archive(Self.account).createSnapshot(of: store.engine, kind: .manual)
    try leave(100_000, on: disk)
    do {
      try await restore(store, info.id)
      Issue.record("a restore to a full disk")
    } catch { #expect((error as? BackupError)?.code == .diskFull, "\(error)") }
    #expect(try disk.list("/node/accounts") == ["\(Self.account)"])
    disk.capacityBytes = nil
    try await restore(store, info.id)
    #expect(try await store.fingerprint(Self.copy) == store.fingerprint(Self.account))
  }
}
