import Backup
import Base
import Disk
import ShardStore
import Simulator
import Testing

/// Faults at every single place of an archive's upkeep: what is promised stays restorable, and the next round makes up for it.
@Suite struct ExpiryFaultTests {
  private static let changing: Set<DiskOperation.Kind> = [
    .write, .sync, .truncate, .create, .makeDirectory, .rename, .remove, .syncDirectory,
  ]
  @Sendable private static func isArchive(_ path: String) -> Bool { path.hasPrefix("/archive") }

  /// Three snapshots an hour apart, a log in many small runs, packs that are mostly waste.
  private func prepared(_ seed: UInt64, _ disk: ForgetfulDisk) async throws -> MomentWorld {
    let world = try await MomentWorld(seed: seed, disk: disk)
    for round in 0..<3 {
      for _ in 0..<(round == 0 ? 7 : 1) { try await world.upload(bytes: 30_000) }
      try await world.snapshot()
      // One of the seven stays in a pack of them all.
      while round == 0, world.content.recordings.count > 1 { try await world.deleteRecording() }
      for _ in 0..<2 {
        world.clock.advance(microseconds: 900_000_000)
        try await world.writeCalls(2)
        try await world.archive.archiveLog(of: world.store.engine)
      }
      world.clock.advance(microseconds: 1_800_000_000)
    }
    return world
  }

  private func border(_ world: MomentWorld) -> UnixMicroseconds { world.snapshots[1].time + 1 }

  private func check(_ world: MomentWorld, _ disk: ForgetfulDisk) async throws {
    world.disk = disk
    world.store = try MomentWorld.open(disk, world.clock)
    world.archive = MomentWorld.archive(disk, world.clock)
    defer { world.store.engine.close() }
    func everything() async throws {
      for commit in world.commits.filter({ $0.time >= border(world) }).suffix(3) {
        #expect(try await world.restored(at: commit.time).content == commit.content)
      }
      let report = try Verify.run("/archive", disk: disk, keys: .keyEncryption(world.store.kek))
      #expect(report.isSound, "\(report.findings)")
    }
    try await everything()
    // The archive goes on: a snapshot, the log, another round.
    try await world.writeCalls(1)
    try await world.snapshot()
    _ = try await world.archive.upkeep(world.upkeep(border(world)))
    #expect(try await world.archive.list().snapshots.count == 3)
    let again = try await world.archive.upkeep(world.upkeep(border(world)))
    #expect(again.expiredSnapshots == 0)
    try await everything()
  }

  private func operations() async throws -> Int {
    let disk = ForgetfulDisk(seed: 1)
    let world = try await prepared(1, disk)
    let plan = FaultPlan(.proceed, at: .max, of: Self.changing, matches: Self.isArchive)
    disk.onOperation(plan.decide)
    let report = try await world.archive.upkeep(world.upkeep(border(world)))
    #expect(report.expiredSnapshots == 1 && report.removedPacks > 0 && report.joinedRuns > 0 && report.copiedBytes > 0)
    world.store.engine.close()
    return plan.matching
  }

  @Test("a crash at each operation of an archive's upkeep loses no promised moment, and the next round ends it")
  func crashes() async throws {
    let count = try await operations()
    #expect(count > 20)
    for n in 1...count {
      for moment in DiskFault.Moment.allCases {
        let disk = ForgetfulDisk(seed: UInt64(n))
        let world = try await prepared(1, disk)
        let plan = FaultPlan(.stop(moment), at: n, of: Self.changing, matches: Self.isArchive)
        disk.onOperation(plan.decide)
        await #expect(throws: BackupError.self) { try await world.archive.upkeep(world.upkeep(border(world))) }
        #expect(plan.fired)
        world.store.engine.close()
        try await check(world, disk.crash())
      }
    }
  }

  @Test("a failure of each operation of an archive's upkeep is told and harms nothing")
  func failures() async throws {
    let count = try await operations()
    for n in 1...count {
      for fault in [DiskFault.fail(.io), .failHalf(.full)] {
        let disk = ForgetfulDisk(seed: UInt64(n))
        let world = try await prepared(1, disk)
        let plan = FaultPlan(fault, at: n, of: Self.changing, matches: Self.isArchive)
        disk.onOperation(plan.decide)
        _ = try? await world.archive.upkeep(world.upkeep(border(world)))
        #expect(plan.fired)
        disk.onOperation(nil)
        world.store.engine.close()
        try await check(world, disk.crash())
      }
    }
  }
}
