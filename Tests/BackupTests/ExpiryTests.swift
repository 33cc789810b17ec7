import AtRest
import Backup
import Base
import Disk
import Formats
import ShardStore
import Simulator
import Testing

/// What the window has left behind goes, and nothing else: every promised moment comes back after each round.
@Suite struct ExpiryTests {
  /// Of the promise, in the world's time; a step takes 20 minutes.
  private static let window: Int64 = 8 * 3_600_000_000

  private func sizes(_ world: MomentWorld) throws -> (snapshots: Int, runs: Int, packs: Int) {
    let layout = world.archive.layout
    return (
      try world.disk.list(layout.manifests).filter { $0.hasSuffix(".kman") }.count,
      try world.disk.list(layout.log).count,
      try world.disk.list(layout.packs).count
    )
  }

  @Test(
    "a week in which the archive forgets as it goes on: what is promised comes back after every round, what is not is gone",
    arguments: [11, 12] as [UInt64])
  func week(seed: UInt64) async throws {
    let world = try await MomentWorld(seed: seed, disk: ForgetfulDisk(seed: seed))
    defer { world.store.engine.close() }
    var done = UpkeepReport()
    try await world.snapshot()
    for round in 0..<14 {
      for _ in 0..<18 { try await world.step() }
      // Every step may have set the clock back; the time of retention goes on with the log's.
      let now = max(world.clock.unixMicroseconds(), world.commits.last!.time)
      let border = now - Self.window
      let report = try await world.archive.upkeep(world.upkeep(border))
      #expect(!report.isDeferred)
      done.expiredSnapshots += report.expiredSnapshots
      done.expiredRuns += report.expiredRuns
      done.removedPacks += report.removedPacks
      done.copiedBytes += report.copiedBytes
      done.joinedRuns += report.joinedRuns
      if round % 3 == 2 { try world.restart() }
      try await world.archive.archiveLog(of: world.store.engine)
      for _ in 0..<8 {
        let moment = max(world.randomMoment(), border)
        #expect(try await world.restored(at: moment).content == world.expected(at: moment), "\(RFC3339.text(moment))")
      }
      let verified = try Verify.run("/archive", disk: world.disk, keys: .keyEncryption(world.store.kek))
      #expect(verified.isSound, "\(verified.findings)")
    }
    #expect(
      done.expiredSnapshots > 2 && done.expiredRuns > 2 && done.removedPacks > 2 && done.joinedRuns > 3, "\(done)")
    // The first hours are in no file any more.
    await #expect { try await world.restored(at: world.snapshots[0].time) } throws: { error in
      (error as? BackupError)?.code == .notFound
    }
    // And a second round right behind finds nothing to do.
    let again = try await world.archive.upkeep(world.upkeep(world.clock.unixMicroseconds() - Self.window))
    #expect(again.expiredSnapshots == 0 && again.expiredRuns == 0 && again.removedPacks == 0)
  }

  /// Snapshots at hours 0, 1, …, `hours` - 1, with writes and recordings between; the log is archived after each.
  private func world(_ seed: UInt64, _ disk: any Disk, hours: Int) async throws -> MomentWorld {
    let world = try await MomentWorld(seed: seed, disk: disk)
    for _ in 0..<hours {
      try await world.writeCalls(3)
      try await world.upload()
      try await world.snapshot()
      for _ in 0..<3 {
        world.clock.advance(microseconds: 900_000_000)
        try await world.writeCalls(25)
        try await world.archive.archiveLog(of: world.store.engine)
      }
      try await world.deleteRecording()
      world.clock.advance(microseconds: 900_000_000)
    }
    try await world.archive.archiveLog(of: world.store.engine)
    return world
  }

  @Test("the newest proven snapshot before the border stays with the log behind it; older ones, runs and packs go")
  func border() async throws {
    let world = try await world(21, ForgetfulDisk(seed: 21), hours: 6)
    defer { world.store.engine.close() }
    let before = try sizes(world)
    let border = world.snapshots[3].time + 60_000_000
    let report = try await world.archive.upkeep(world.upkeep(border))
    #expect(report.expiredSnapshots == 3 && report.expiredRuns > 0 && report.removedPacks > 0 && report.freedBytes > 0)
    let after = try sizes(world)
    #expect(after.snapshots == before.snapshots - 3 && after.runs < before.runs && after.packs < before.packs)
    let first = try #require(try await world.archive.moments().first)
    #expect(first.from == world.snapshots[3].time)
    for commit in world.commits where commit.time >= border {
      #expect(try await world.restored(at: commit.time).content == commit.content)
    }
    // Chunks that a later snapshot shares are still there for the next one.
    try await world.snapshot()
    #expect(try await world.archive.list().snapshots.last?.state == .proven)
  }

  @Test(
    "a proof that fails lets nothing go, whatever is damaged of what would stay",
    arguments: ["pack", "run", "manifest"])
  func damagedBase(what: String) async throws {
    let disk = ForgetfulDisk(seed: 22)
    let world = try await world(22, disk, hours: 5)
    defer { world.store.engine.close() }
    let layout = world.archive.layout
    // So that small runs are joined already.
    _ = try await world.archive.upkeep(world.upkeep(0))
    let base = try await world.archive.list().snapshots[3]
    let path: String
    switch what {
    case "manifest": path = try await world.archive.list().snapshots[4].path
    case "run": path = "\(layout.log)/\(try disk.list(layout.log).last!)"
    default:
      // The pack that the base's own chunks went to: the last one that was written before the next snapshot's.
      path = try packs(of: base.id, world)
    }
    let size = Int(try #require(try disk.info(path)).bytes)
    let offset = what == "pack" ? 200 : size / 2
    let file = try disk.open(path, .readWrite)
    let byte = try file.read(1, at: UInt64(offset))
    try file.write([byte[0] ^ 1], at: UInt64(offset))
    let before = try sizes(world)
    await #expect { try await world.archive.upkeep(world.upkeep(base.createdAt + 60_000_000)) } throws: { error in
      (error as? BackupError)?.code == .damaged
    }
    #expect(try sizes(world) == before)
    try file.write(byte, at: UInt64(offset))
    let report = try await world.archive.upkeep(world.upkeep(base.createdAt + 60_000_000))
    #expect(report.expiredSnapshots == 3)
  }

  /// A pack whose first frame the snapshot needs.
  private func packs(of id: SnapshotID, _ world: MomentWorld) throws -> String {
    let layout = world.archive.layout
    let store = ManifestStore(disk: world.disk, layout: layout)
    let keyring = try world.store.engine.keyring(MomentWorld.account)
    let keys = ArchiveKeys(account: layout.account, archive: keyring.archive, signing: keyring.keys.signing)
    let manifest = try store.read(try store.path(of: id), keys: keys)
    for name in try world.disk.list(layout.packs) {
      guard let pack = PackID(String(name.dropLast(5))) else { continue }
      let entries = try PackFile(disk: world.disk, layout: layout, id: pack).entries()
      if manifest.body.groups.contains(entries[0].name) { return layout.pack(pack) }
    }
    throw BackupError(.notFound, "no pack begins with a chunk of the snapshot")
  }

  @Test("an account in which nothing happens keeps the snapshots of its window, and one that is older")
  func idle() async throws {
    let world = try await MomentWorld(seed: 23, disk: ForgetfulDisk(seed: 23))
    defer { world.store.engine.close() }
    try await world.writeCalls(5)
    for _ in 0..<12 {
      try await world.snapshot()
      world.clock.advance(microseconds: 86_400_000_000)
    }
    let border = world.clock.unixMicroseconds() - 7 * 86_400_000_000
    let report = try await world.archive.upkeep(world.upkeep(border))
    let left = try await world.archive.list().snapshots
    #expect(report.expiredSnapshots == 5 && left.count == 7 && left.allSatisfy { $0.createdAt >= border })
    #expect(try await world.restored(at: border).content == world.content)
  }

  @Test("an archive whose newest snapshot is older than the window keeps that one, for ever")
  func abandoned() async throws {
    let world = try await world(24, ForgetfulDisk(seed: 24), hours: 3)
    defer { world.store.engine.close() }
    let report = try await world.archive.upkeep(world.upkeep(world.clock.unixMicroseconds() + 30 * 86_400_000_000))
    #expect(report.expiredSnapshots == 2)
    #expect(try await world.archive.list().snapshots.count == 1)
    #expect(try await world.restored(at: world.commits.last!.time).content == world.content)
  }

  @Test("packs of which little is needed are emptied into new ones, and every chunk is still found")
  func sparse() async throws {
    let world = try await MomentWorld(seed: 25, disk: ForgetfulDisk(seed: 25))
    defer { world.store.engine.close() }
    // Many recordings in one pack, of which one stays.
    for _ in 0..<7 { try await world.upload(bytes: 30_000) }
    try await world.snapshot()
    let kept = try #require(world.content.recordings.keys.max())
    while world.content.recordings.count > 1 { try await world.deleteRecording() }
    #expect(world.content.recordings[kept] != nil)
    world.clock.advance(microseconds: 3_600_000_000)
    try await world.writeCalls(1)
    try await world.snapshot()
    world.clock.advance(microseconds: 3_600_000_000)
    let report = try await world.archive.upkeep(world.upkeep(world.clock.unixMicroseconds() - 1))
    #expect(report.expiredSnapshots == 1 && report.removedPacks > 0 && report.copiedBytes > 0, "\(report)")
    #expect(try await world.restored(at: world.commits.last!.time).content == world.content)
    let verified = try Verify.run("/archive", disk: world.disk, keys: .keyEncryption(world.store.kek))
    #expect(verified.isSound, "\(verified.findings)")
  }
}

extension MomentWorld {
  func upkeep(_ border: UnixMicroseconds) -> UpkeepRequest {
    UpkeepRequest(border: border, now: clock.unixMicroseconds(), unlockedBy: .keyEncryption(store.kek))
  }
}
