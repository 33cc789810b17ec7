import Backup
import Base
import Disk
import SQLite
import ShardStore
import Simulator
import Testing

/// Faults at every single place of a merge and of its undo: the account has all of it or nothing, and it can be run again.
@Suite struct MergeFaultTests {
  private static let changing: Set<DiskOperation.Kind> = [
    .write, .sync, .truncate, .create, .makeDirectory, .rename, .remove, .syncDirectory,
  ]

  private struct Prepared {
    /// The machine is off; each `crash()` brings it up again.
    let disk: ForgetfulDisk
    let snapshot: SnapshotID
    let old: [String]
    let broken: [String]
  }

  /// Small volumes, so that bytes which are collected are gone, and only the archive has them.
  private static func world(_ disk: ForgetfulDisk) async throws -> MergeWorld {
    try await MergeWorld(disk, making: false) { $0.volumeBytes = 100_000 }
  }

  /// Rows and recordings are deleted and overwritten; the bytes of some recordings are only in the archive.
  private func prepare() async throws -> Prepared {
    let disk = ForgetfulDisk(seed: 3)
    let world = try await Self.world(disk)
    try await world.store.makeAccount(MergeWorld.account, rows: 12, recordings: 3)
    let (old, snapshot) = (try await world.content(), try await world.snapshot())
    let row = try await world.store.engine.read(MergeWorld.account) { try RecordingCatalog.get($0, key: "calls/1.wav") }
    let gone = try #require(row.value).id
    for (time, keys) in [(Int64(1), ["calls/1.wav"]), (1 << 60, ["calls/0.wav"])] {
      _ = try await world.store.engine.write(MergeWorld.account) { connection in
        for key in keys { _ = try RecordingCatalog.delete(connection, key: key, at: time) }
      }
    }
    try await world.sql("DELETE FROM calls WHERE id > 3", "UPDATE calls SET body = 'other' WHERE id = 2")
    _ = try await world.store.engine.collectRecordings(
      MergeWorld.account, grace: .seconds(0), keepDeleted: .seconds(0))
    let broken = try await world.content()
    world.close()
    disk.stop()
    let again = try await Self.world(disk.crash())
    defer { again.close() }
    #expect(try again.store.engine.keepRecordings(MergeWorld.account, [gone]) == [gone], "it has to be copied")
    return Prepared(disk: disk, snapshot: snapshot, old: old, broken: broken)
  }

  private func merge(_ world: MergeWorld, _ snapshot: SnapshotID) async throws -> MergeReport {
    try await world.run(world.request(snapshot, "table:calls", "recording:*", policy: .take))
  }

  private enum Place { case merge, undo }

  /// Runs the story with `fault` at the `nth` operation of the merge or of its undo; false when that has fewer.
  private func attempt(_ prepared: Prepared, _ place: Place, _ fault: DiskFault, at nth: Int) async throws -> Bool {
    let disk = prepared.disk.crash()
    let world = try await Self.world(disk)
    var report: MergeReport?
    let plan = FaultPlan(fault, at: nth, of: Self.changing) { _ in true }
    if place == .undo { report = try await merge(world, prepared.snapshot) }
    disk.onOperation(plan.decide)
    var isDone = false
    do {
      switch place {
      case .merge: report = try await merge(world, prepared.snapshot)
      case .undo: _ = try await world.undo(try #require(report))
      }
      isDone = true
    } catch { #expect(error is BackupError || error is StoreError, "\(error)") }
    disk.onOperation(nil)
    // Without a fault too: what was acknowledged outlives a crash right behind it.
    let next = disk.crash()
    world.close()
    try await check(next, prepared, place, isDone: isDone)
    return plan.fired
  }

  private func check(_ disk: ForgetfulDisk, _ prepared: Prepared, _ place: Place, isDone: Bool) async throws {
    let world = try await Self.world(disk)
    defer { world.close() }
    let (before, after) = place == .merge ? (prepared.broken, prepared.old) : (prepared.old, prepared.broken)
    let found = try await world.content()
    #expect(found == before || found == after, "neither all nor nothing")
    if isDone { #expect(found == after, "what was acknowledged is not there") }
    // Again, there and back.
    let second = try await merge(world, prepared.snapshot)
    #expect(try await world.content() == prepared.old)
    _ = try await world.undo(second)
    #expect(try await world.content() == found)
  }

  private func all(_ place: Place, _ faults: [DiskFault]) async throws -> Int {
    let prepared = try await prepare()
    var count = 0
    for fault in faults {
      var n = 1
      while try await attempt(prepared, place, fault, at: n) { n += 1 }
      count += n - 1
    }
    return count
  }

  @Test("a crash at each operation of a merge leaves all of it or nothing, and it can be run again")
  func crashesInMerge() async throws {
    let count = try await all(.merge, DiskFault.Moment.allCases.map { .stop($0) })
    #expect(count >= 10, "only \(count) places")
  }

  @Test("a crash at each operation of an undo leaves all of it or nothing, and it can be run again")
  func crashesInUndo() async throws {
    let count = try await all(.undo, DiskFault.Moment.allCases.map { .stop($0) })
    #expect(count >= 3, "only \(count) places")
  }

  @Test("a failure of each operation of a merge and of its undo is told and leaves all of it or nothing")
  func failures() async throws {
    let faults = [DiskFault.fail(.io), .failHalf(.full)]
    let count = try await all(.merge, faults) + all(.undo, faults)
    #expect(count >= 8, "only \(count) places")
  }
}
