import AtRest
import Backup
import Base
import Disk
import Formats
import ShardStore
import Simulator
import Testing

/// Faults at every single place of the log's archiver: what was promised stays restorable, and archiving goes on.
@Suite struct MomentFaultTests {
  private static let changing: Set<DiskOperation.Kind> = [
    .write, .sync, .truncate, .create, .makeDirectory, .rename, .remove, .syncDirectory,
  ]

  /// What the archiver does, as against the engine.
  @Sendable private static func isArchive(_ path: String) -> Bool { path.hasPrefix("/archive") }

  /// A node with a snapshot and more records, recordings among them, that no archive has yet.
  private func prepared(_ seed: UInt64, _ disk: ForgetfulDisk) async throws -> MomentWorld {
    let world = try await MomentWorld(seed: seed, disk: disk)
    try await world.writeCalls(4)
    try await world.snapshot(archiving: false)
    try await more(world)
    return world
  }

  private func more(_ world: MomentWorld) async throws {
    for _ in 0..<2 {
      world.clock.advance(microseconds: 1_000_000)
      try await world.writeCalls(3)
      world.clock.advance(microseconds: 1_000_000)
      try await world.upload()
    }
    world.clock.advance(microseconds: 1_000_000)
    try await world.deleteRecording()
  }

  /// Two rounds of the archiver; gives the last moment that was acknowledged as archived.
  private func story(_ world: MomentWorld) async throws -> UnixMicroseconds {
    var acknowledged = world.snapshots[0].time
    do {
      try await world.archive.archiveLog(of: world.store.engine)
      acknowledged = world.commits.last!.time
      try await more(world)
      try await world.archive.archiveLog(of: world.store.engine)
      acknowledged = world.commits.last!.time
    } catch { #expect(error is BackupError, "\(error)") }
    return acknowledged
  }

  /// From the disk alone: every moment that was acknowledged comes back; then the archiver goes on where the log still is.
  private func check(_ world: MomentWorld, _ disk: ForgetfulDisk, upTo acknowledged: UnixMicroseconds) async throws {
    world.disk = disk
    world.store = try MomentWorld.open(disk, world.clock)
    world.archive = MomentWorld.archive(disk, world.clock)
    defer { world.store.engine.close() }
    for commit in world.commits where (world.snapshots[0].time...acknowledged).contains(commit.time) {
      #expect(try await world.restored(at: commit.time).content == commit.content)
    }
    // The engine's own promise: what was acknowledged is there after the crash, so all of it can be archived now.
    try await world.archive.archiveLog(of: world.store.engine)
    for commit in world.commits.suffix(4) {
      #expect(try await world.restored(at: commit.time).content == commit.content)
    }
    let report = try Verify.run("/archive", disk: disk, keys: .keyEncryption(world.store.kek))
    #expect(report.isSound, "\(report.findings)")
    let unfinished = try disk.list(world.archive.layout.log).filter { $0.hasSuffix(".new") }
    #expect(unfinished.isEmpty)
  }

  private func operations() async throws -> Int {
    let disk = ForgetfulDisk(seed: 1)
    let world = try await prepared(1, disk)
    let plan = FaultPlan(.proceed, at: .max, of: Self.changing, matches: Self.isArchive)
    disk.onOperation(plan.decide)
    _ = try await story(world)
    world.store.engine.close()
    return plan.matching
  }

  @Test("a crash at each operation of the archiver loses no promised moment, and archiving goes on")
  func crashes() async throws {
    let count = try await operations()
    #expect(count > 20)
    for n in 1...count {
      for moment in DiskFault.Moment.allCases {
        let disk = ForgetfulDisk(seed: UInt64(n))
        let world = try await prepared(1, disk)
        let plan = FaultPlan(.stop(moment), at: n, of: Self.changing, matches: Self.isArchive)
        disk.onOperation(plan.decide)
        let acknowledged = try await story(world)
        #expect(plan.fired)
        world.store.engine.close()
        try await check(world, disk.crash(), upTo: acknowledged)
      }
    }
  }

  @Test("a failure of each operation of the archiver is told, harms nothing, and the next round makes up for it")
  func failures() async throws {
    let count = try await operations()
    for n in 1...count {
      for fault in [DiskFault.fail(.io), .failHalf(.full)] {
        let disk = ForgetfulDisk(seed: UInt64(n))
        let world = try await prepared(1, disk)
        let plan = FaultPlan(fault, at: n, of: Self.changing, matches: Self.isArchive)
        disk.onOperation(plan.decide)
        let acknowledged = try await story(world)
        #expect(plan.fired)
        disk.onOperation(nil)
        // In the same process.
        try await world.archive.archiveLog(of: world.store.engine)
        #expect(try await world.restored(at: world.commits.last!.time).content == world.content)
        world.store.engine.close()
        try await check(world, disk.crash(), upTo: max(acknowledged, world.commits.last!.time))
      }
    }
  }
}
