import AtRest
import Backup
import Base
import Disk
import Formats
import ShardStore
import Simulator
import Testing

/// Faults at every single place of a restore in place, and of an undo: the account is as before or as wanted, never half.
@Suite struct InPlaceFaultTests {
  private static let changing: Set<DiskOperation.Kind> = [
    .write, .sync, .truncate, .create, .makeDirectory, .rename, .remove, .syncDirectory,
  ]

  private struct Prepared {
    /// The machine is off; each `crash()` brings it up again.
    let disk: ForgetfulDisk
    let clock: MovingClock
    let state: ArchivedState
    let before: AccountContent
    let wanted: AccountContent
  }

  /// A snapshot, and behind it rows, a recording deleted whose bytes are gone, another one new. With `undo` a restore in
  /// place was made, and what it put aside is wanted back.
  private func prepare(undo: Bool) async throws -> Prepared {
    let disk = ForgetfulDisk(seed: 3)
    let world = try await MomentWorld(seed: 3, disk: disk)
    try await world.writeCalls(20)
    try await world.upload()
    let wanted = world.content
    let info = try await world.archive.createSnapshot(of: world.store.engine, kind: .manual)
    world.clock.advance(microseconds: 1_000_000)
    try await world.deleteRecording()
    try await world.collect()
    try await world.upload()
    try await world.toggleNotes()
    let later = world.content
    var prepared = Prepared(
      disk: disk, clock: world.clock, state: .snapshot(info.id), before: later, wanted: wanted)
    if undo {
      try await world.inPlace(world.request(prepared.state, 100), expecting: wanted)
      try await world.collect()
      prepared = Prepared(
        disk: disk, clock: world.clock, state: .position(try await world.entry(100).before), before: wanted,
        wanted: later)
    }
    world.store.engine.close()
    disk.stop()
    return prepared
  }

  private func request(_ prepared: Prepared, _ store: TestStore, _ id: UInt8) -> InPlaceRequest {
    InPlaceRequest(
      prepared.state, id: [UInt8](repeating: id, count: 16), unlockedBy: .keyEncryption(store.kek))
  }

  private func check(_ disk: ForgetfulDisk, _ prepared: Prepared, restored: Bool) async throws {
    let store = try MomentWorld.open(disk, prepared.clock)
    defer { store.engine.close() }
    let (id, archive) = (MomentWorld.account, MomentWorld.archive(disk, prepared.clock))
    let content = try await store.content(id)
    #expect(content == prepared.wanted || (!restored && content == prepared.before), "half of it is there")
    // Whatever it was: run again it succeeds, and what was there before is the way back.
    _ = try await archive.restoreInPlace(request(prepared, store, 2), in: store.engine)
    #expect(try await store.content(id) == prepared.wanted)
    let name = [UInt8](repeating: 2, count: 16)
    let entry = try #require(try await store.engine.read(id) { try ReplaceCatalog.entry($0, id: name) }.value)
    var back = request(prepared, store, 3)
    back.state = .position(entry.before)
    _ = try await archive.restoreInPlace(back, in: store.engine)
    #expect(try await store.content(id) == content)
    let report = try Verify.run("/archive", disk: disk, keys: .keyEncryption(store.kek))
    #expect(report.isSound, "\(report.findings)")
  }

  /// Runs one restore with `fault` at the `nth` of its operations; false when it has fewer.
  private func attempt(_ prepared: Prepared, _ fault: DiskFault, at nth: Int) async throws -> Bool {
    let disk = prepared.disk.crash()
    let store = try MomentWorld.open(disk, prepared.clock)
    let archive = MomentWorld.archive(disk, prepared.clock)
    // The opening is not what is tested here.
    _ = try store.engine.published(MomentWorld.account)
    let plan = FaultPlan(fault, at: nth, of: Self.changing) { _ in true }
    disk.onOperation(plan.decide)
    var restored = false
    do {
      _ = try await archive.restoreInPlace(request(prepared, store, 1), in: store.engine)
      restored = true
    } catch { #expect(error is BackupError || error is StoreError, "\(error)") }
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

  @Test(
    "a crash at each operation leaves the account as before or as wanted; run again it succeeds",
    arguments: [false, true])
  func crashes(undo: Bool) async throws {
    let prepared = try await prepare(undo: undo)
    var count = 0
    for moment in DiskFault.Moment.allCases {
      var n = 1
      while try await attempt(prepared, .stop(moment), at: n) { n += 1 }
      count += n - 1
    }
    #expect(count >= 30, "only \(count) places")
  }

  @Test(
    "a failure of each operation is told or made up for, and leaves the account as before or as wanted",
    arguments: [false, true])
  func failures(undo: Bool) async throws {
    let prepared = try await prepare(undo: undo)
    var count = 0
    for fault in [DiskFault.fail(.io), .failHalf(.full)] {
      var n = 1
      while try await attempt(prepared, fault, at: n) { n += 1 }
      count += n - 1
    }
    #expect(count >= 20, "only \(count) places")
  }
}
