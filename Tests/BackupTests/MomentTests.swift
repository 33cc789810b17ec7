import AtRest
import Backup
import Base
import Disk
import Formats
import OpenSSL
import SQLite
import ShardStore
import Simulator
import Testing

@Suite struct MomentTests {
  /// Of each seed: 200 in all.
  private static let moments = 100
  private static let steps = 260

  @Test(
    "a week of random life: every random moment comes back as it was, recordings included",
    arguments: [1, 2] as [UInt64])
  func week(seed: UInt64) async throws {
    let world = try await MomentWorld(seed: seed, disk: ForgetfulDisk(seed: seed))
    defer { world.store.engine.close() }
    for _ in 0..<10 { try await world.step() }
    try await world.snapshot()
    for _ in 0..<Self.steps { try await world.step() }
    try await world.archive.archiveLog(of: world.store.engine)
    #expect(world.snapshots.count > 3 && world.commits.count > 100)
    var replayed = 0
    for _ in 0..<Self.moments {
      let moment = world.randomMoment()
      let (content, report) = try await world.restored(at: moment)
      let expected = world.expected(at: moment)
      #expect(content == expected, "\(RFC3339.text(moment)): \(String(describing: report.plan.moment))")
      let commit = try #require(world.commits.last { $0.time <= moment })
      let plan = try #require(report.plan.moment)
      #expect(plan.end.index >= commit.position.index && plan.time <= moment && !plan.isClamped)
      #expect(plan.snapshotPosition.index <= plan.end.index && report.plan.recordings == expected.recordings.count)
      replayed += plan.records
    }
    #expect(replayed > Self.moments)
    // The newest moment, and what lies after everything.
    let last = try await world.restored(at: world.commits.last!.time)
    #expect(last.content == world.content)
    #expect(try await world.restored(at: .max / 2).report.plan.moment?.isClamped == true)
  }

  @Test("the check notices a record that is left out, wherever it lies")
  func planted() async throws {
    let world = try await MomentWorld(seed: 3, disk: ForgetfulDisk(seed: 3))
    defer { world.store.engine.close() }
    try await world.snapshot()
    for _ in 0..<12 {
      world.clock.advance(microseconds: 60_000_000)
      try await world.writeCalls(3)
    }
    try await world.archive.archiveLog(of: world.store.engine)
    for commit in world.commits.dropFirst() {
      #expect(try await world.restored(at: commit.time).content == commit.content)
      do {
        let content = try await world.restored(at: commit.time, skipping: commit.position.index).content
        #expect(content != commit.content, "record \(commit.position) was left out and nobody noticed")
      } catch let error as BackupError { #expect(error.code == .damaged) }
    }
  }

  @Test("a recording that was uploaded and deleted between two snapshots is there at a moment between")
  func between() async throws {
    let world = try await MomentWorld(seed: 4, disk: ForgetfulDisk(seed: 4))
    defer { world.store.engine.close() }
    try await world.snapshot()
    world.clock.advance(microseconds: 1_000_000)
    try await world.upload()
    let with = world.commits.last!
    world.clock.advance(microseconds: 1_000_000)
    try await world.deleteRecording()
    let without = world.commits.last!
    world.clock.advance(microseconds: 1_000_000)
    try await world.snapshot()
    #expect(world.content.recordings.isEmpty && with.content.recordings.count == 1)
    #expect(try await world.restored(at: with.time).content == with.content)
    #expect(try await world.restored(at: without.time - 1).content == with.content)
    #expect(try await world.restored(at: with.time - 1).content.recordings.isEmpty)
    #expect(try await world.restored(at: without.time).content.recordings.isEmpty)
  }

  @Test("offline, archive files and the recovery file alone give back a moment; behind the last record they say so")
  func offline() async throws {
    let disk = ForgetfulDisk(seed: 7)
    let world = try await MomentWorld(seed: 7, disk: disk)
    try await world.snapshot()
    for _ in 0..<8 {
      world.clock.advance(microseconds: 5_000_000)
      try await world.writeCalls(3)
      try await world.upload()
      if world.commits.count % 5 == 0 { try await world.toggleNotes() }
    }
    try await world.archive.archiveLog(of: world.store.engine)
    world.store.engine.close()
    let recovery = RecoveryFile(account: MomentWorld.account, accountKey: world.accountKey, at: 1)
    for (i, commit) in world.commits.enumerated() where commit.time >= world.snapshots[0].time && i % 3 == 0 {
      let offline = try OfflineRestore(disk: disk, archive: "/archive", recovery: recovery, at: commit.time)
      #expect(offline.plan.moment?.isClamped == false)
      let report = try offline.run(out: "/out\(i)")
      #expect(report.plan.position.index >= commit.position.index)
      let database = try Connection(image: disk.readAll("/out\(i)/account.sqlite", limit: 1 << 26))
      #expect(try database.query("PRAGMA integrity_check") == [[.text("ok")]])
      let calls = try database.query("SELECT id, body FROM calls ORDER BY id").map { [$0[0], $0[1]] }
      #expect(calls == commit.content.calls.sorted { $0.key < $1.key }.map { [.integer($0.key), .blob($0.value)] })
      for (key, hash) in commit.content.recordings {
        #expect(SHA256.hash(try disk.readAll("/out\(i)/recordings/\(key)", limit: 1 << 24)) == hash)
      }
      let listed = try disk.readAll("/out\(i)/recordings.jsonl", limit: 1 << 20).count { $0 == 10 }
      #expect(listed == commit.content.recordings.count)
    }
    let late = try OfflineRestore(disk: disk, archive: "/archive", recovery: recovery, at: .max / 2)
    #expect(late.plan.moment?.isClamped == true && late.plan.position == world.commits.last!.position)
    #expect(throws: BackupError.self) {
      try OfflineRestore(
        disk: disk, archive: "/archive", recovery: recovery, at: .max / 2, expect: ExpectedPosition("9.9"))
    }
  }

  @Test("times of records grow also when the log fails before they are split and the clock was set back")
  func times() async throws {
    let disk = ForgetfulDisk(seed: 12)
    let world = try await MomentWorld(seed: 12, disk: disk)
    defer { world.store.engine.close() }
    try await world.snapshot()
    for _ in 0..<4 {
      world.clock.advance(microseconds: 60_000_000)
      try await world.writeCalls(2)
      world.clock.set(back: 3_600_000_000)
      disk.fail(.sync) { $0.hasSuffix(".klog") }
      await #expect(throws: (any Error).self) {
        try await world.store.engine.write(MomentWorld.account) { try $0.execute("DELETE FROM calls") }
      }
      disk.heal()
      // `commit` compares with the time before.
      try await world.writeCalls(2)
    }
    try await world.archive.archiveLog(of: world.store.engine)
    for commit in world.commits.suffix(8) {
      #expect(try await world.restored(at: commit.time).content == commit.content)
    }
  }

  @Test("an erased recording does not come back at a moment when it was there")
  func erased() async throws {
    let disk = ForgetfulDisk(seed: 11)
    let world = try await MomentWorld(seed: 11, disk: disk)
    defer { world.store.engine.close() }
    try await world.snapshot()
    world.clock.advance(microseconds: 1_000_000)
    try await world.upload()
    let rows = try await world.store.engine.read(MomentWorld.account) { try RecordingCatalog.list($0, limit: 10) }.value
    try await world.archive.archiveLog(of: world.store.engine)
    #expect(try await world.restored(at: world.commits.last!.time).content.recordings.count == 1)
    try world.store.engine.keyring(MomentWorld.account).destroyRecordingKeys(rows.map(\.id))
    try await world.archive.refreshKeyring(from: world.store.engine)
    let (content, report) = try await world.restored(at: world.commits.last!.time)
    #expect(content.recordings.isEmpty && report.erased == rows.map(\.id) && content.calls == world.content.calls)
  }

  @Test("an idle account's log is archived once; nothing is written again until it has new records")
  func idle() async throws {
    let disk = ForgetfulDisk(seed: 5)
    let world = try await MomentWorld(seed: 5, disk: disk)
    defer { world.store.engine.close() }
    #expect(try await world.archive.archiveLog(of: world.store.engine).end == nil, "there is no snapshot to follow")
    try await world.snapshot()
    try await world.writeCalls(2)
    let first = try await world.archive.archiveLog(of: world.store.engine)
    #expect(first.records > 0 && first.runs == 1)
    let files = try disk.list(world.archive.layout.log)
    let operations = disk.operations
    let second = try await world.archive.archiveLog(of: world.store.engine)
    #expect(second.records == 0 && second.end == first.end && disk.operations == operations)
    #expect(try disk.list(world.archive.layout.log) == files)
  }

  @Test("before the oldest snapshot, and behind a missing file, a moment is refused with the nearest that there are")
  func refusals() async throws {
    let disk = ForgetfulDisk(seed: 6)
    let world = try await MomentWorld(seed: 6, disk: disk)
    defer { world.store.engine.close() }
    let before = world.commits.last!.time
    world.clock.advance(microseconds: 1_000_000)
    try await world.writeCalls(1)
    try await world.snapshot()
    var runs: [[String]] = []
    for _ in 0..<4 {
      for _ in 0..<3 {
        world.clock.advance(microseconds: 1_000_000)
        try await world.writeCalls(2)
      }
      try await world.archive.archiveLog(of: world.store.engine)
      runs.append(try disk.list(world.archive.layout.log))
    }
    let lost = try #require(runs[1].last)
    let lostFrom = world.commits[world.commits.count - 10].time
    try disk.remove("\(world.archive.layout.log)/\(lost)")
    func refusal(_ moment: UnixMicroseconds) async -> BackupError? {
      do {
        _ = try await world.restored(at: moment)
        return nil
      } catch { return error as? BackupError }
    }
    let early = await refusal(before)
    #expect(early?.code == .notFound && early?.message.contains(RFC3339.text(world.snapshots[0].time)) == true)
    #expect(await refusal(lostFrom) == nil)
    let gap = await refusal(world.commits[world.commits.count - 5].time)
    #expect(gap?.code == .refused)
    #expect(gap?.message.contains(RFC3339.text(lostFrom)) == true, "\(gap?.message ?? "")")
    #expect(gap?.message.contains("records ") == true)
    // A later snapshot begins anew behind the gap, and is named as the nearest moment.
    world.clock.advance(microseconds: 1_000_000)
    try await world.writeCalls(1)
    try await world.snapshot()
    let later = await refusal(world.commits[world.commits.count - 5].time)
    #expect(later?.message.contains(RFC3339.text(world.snapshots[1].time)) == true, "\(later?.message ?? "")")
    #expect(try await world.restored(at: world.commits.last!.time).content == world.content)
  }
}
