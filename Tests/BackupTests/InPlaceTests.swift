import AtRest
import Backup
import Base
import Disk
import Formats
import SQLite
import ShardStore
import Simulator
import Testing
import Threads

@Suite struct InPlaceTests {
  @Test(
    "a random life with restores in place, undone and undone again is the model's each time, and so is every moment of it",
    arguments: [1, 2, 3] as [UInt64])
  func life(seed: UInt64) async throws {
    let world = try await MomentWorld(seed: seed, disk: ForgetfulDisk(seed: seed))
    defer { world.store.engine.close() }
    for _ in 0..<10 { try await world.step() }
    try await world.snapshot()
    var (bigger, smaller, returned, fromArchive) = (0, 0, 0, 0)
    for round in 0..<16 {
      for _ in 0..<12 { try await world.step() }
      if round % 3 == 1 { try await world.collect() }
      let before = world.content
      let (state, expected) = try await target(world)
      let pages = try world.store.engine.pinNow(MomentWorld.account).pageCount
      let id = UInt8(round * 3 + 1)
      let report = try await world.inPlace(world.request(state, id), expecting: expected)
      try await world.check("seed \(seed), round \(round): \(state)")
      if report.databasePages > pages { bigger += 1 }
      if report.databasePages < pages { smaller += 1 }
      returned += report.returning
      fromArchive += report.broughtBack
      if round % 2 == 0 { try await world.writeCalls(2) }
      let later = world.content
      if round % 4 == 2 { try world.restart() }
      // The undo leads to the state before, whatever came behind the restore; undone itself, that is back again.
      let entry = try await world.entry(id)
      #expect(entry.before == report.before)
      try await world.inPlace(
        world.request(.position(entry.before), id + 1, undoes: entry.id), expecting: before)
      try await world.check("seed \(seed), round \(round): undo")
      if round % 4 == 0 { _ = world.store.engine.stepCheckpoint(MomentWorld.account, force: true) }
      let undone = try await world.entry(id + 1)
      #expect(undone.undoes == entry.id)
      try await world.inPlace(world.request(.position(undone.before), id + 2), expecting: later)
      try await world.check("seed \(seed), round \(round): undo of the undo")
    }
    #expect(bigger > 0 && smaller > 0 && returned > 0 && fromArchive > 0, "\((bigger, smaller, returned, fromArchive))")
    for _ in 0..<12 { try await world.step() }
    try await world.archive.archiveLog(of: world.store.engine)
    for _ in 0..<25 {
      let moment = world.randomMoment()
      #expect(try await world.restored(at: moment).content == world.expected(at: moment), "\(RFC3339.text(moment))")
    }
    let report = try Verify.run("/archive", disk: world.disk, keys: .keyEncryption(world.store.kek))
    #expect(report.isSound, "\(report.findings)")
  }

  private func target(_ world: MomentWorld) async throws -> (ArchivedState, AccountContent) {
    if world.random.oneIn(2) {
      let moment = world.randomMoment()
      return (.moment(moment), world.expected(at: moment))
    }
    let list = try await world.archive.list().snapshots
    let snapshot = list[world.random.below(list.count)]
    let commit = try #require(world.commits.last { $0.position.index <= snapshot.position.index })
    return (.snapshot(snapshot.id), commit.content)
  }

  @Test("what was read before the swap is read to its end as it was, what is read after it is the restored state")
  func readers() async throws {
    let world = try await MomentWorld(seed: 5, disk: ForgetfulDisk(seed: 5))
    defer { world.store.engine.close() }
    let (engine, id) = (world.store.engine, MomentWorld.account)
    _ = try await engine.write(id) { c in
      for table in ["a", "b"] { try c.execute("CREATE TABLE \(table)(x INTEGER PRIMARY KEY, y TEXT)") }
      for i in 0..<300 {
        for table in ["a", "b"] {
          try c.execute(
            "INSERT INTO \(table) VALUES(?, ?)", .integer(Int64(i)), .text(String(repeating: "1", count: 300)))
        }
      }
    }
    let info = try await world.archive.createSnapshot(of: engine, kind: .manual)
    // Statements and pages of the later state lie in every connection's cache: a session's, the readers', the writer's.
    _ = try await engine.write(id) { c in
      for table in ["a", "b"] {
        try c.execute("UPDATE \(table) SET y = 'later' WHERE x >= 100")
        try c.execute("ALTER TABLE \(table) ADD COLUMN z DEFAULT 7")
        try c.execute("DELETE FROM \(table) WHERE x < 50")
      }
    }
    let session = try await engine.session(id)
    let query =
      "SELECT (SELECT group_concat(x || y, '') FROM a) = (SELECT group_concat(x || y, '') FROM b), "
      + "(SELECT count(*) FROM a)"
    func seen() async throws -> [Value] { try await engine.read(id) { try $0.query(query)[0] }.value }
    _ = try await session.run(writes: false) { try $0.execute("BEGIN") }
    let columns = "SELECT count(*) FROM pragma_table_info('a')"
    let old = try await session.run(writes: false) { try ($0.query(query)[0], $0.query(columns)[0]) }.value
    #expect(old.0 == [.integer(1), .integer(250)] && old.1 == [.integer(3)])
    let stop = Lock(false)
    let readers = (0..<2).map { _ in
      Task {
        var counts: Set<Int64> = []
        while !stop.with({ $0 }) {
          let row = try await seen()
          // Both tables of one state, never half of each.
          guard row[0] == .integer(1), let count = row[1].integer else { return Set([-1 as Int64]) }
          counts.insert(count)
        }
        return counts
      }
    }
    for round in 0..<6 {
      if round > 0 {
        _ = try await engine.write(id) { c in for t in ["a", "b"] { try c.execute("DELETE FROM \(t) WHERE x < 50") } }
        #expect(try await seen() == [.integer(1), .integer(250)])
      }
      _ = try await world.archive.restoreInPlace(world.request(.snapshot(info.id), UInt8(round + 1)), in: engine)
      #expect(try await seen() == [.integer(1), .integer(300)])
      // The writer's own statements and pages are of the restored state too: the first statement parses by its schema.
      _ = try await engine.write(id) { c in
        try c.execute("INSERT INTO a VALUES(5000, 'new')")
        try c.execute("DELETE FROM a WHERE x = 5000")
      }
      #expect(
        try await engine.write(id) { try $0.query("SELECT count(*), min(length(y)) FROM a")[0] }.value
          == [.integer(300), .integer(300)])
    }
    stop.with { $0 = true }
    for reader in readers { #expect(try await reader.value.isSubset(of: [250, 300])) }
    // Checkpoints on the way took nothing from who reads the state before.
    for _ in 0..<50 where engine.stepCheckpoint(id, force: true) {}
    let still = try await session.run(writes: false) { try ($0.query(query)[0], $0.query(columns)[0]) }.value
    #expect(still == old)
    await #expect(throws: (any Error).self) { try await session.run(writes: true) { try $0.execute("DELETE FROM a") } }
    _ = try await session.run(writes: false) { if !$0.isAutocommit { try $0.execute("ROLLBACK") } }
    _ = try await session.run(writes: true) { c in
      try c.execute("INSERT INTO a VALUES(5000, 'new')")
      try c.execute("DELETE FROM a WHERE x = 5000")
    }
    let new = try await session.run(writes: false) { try ($0.query(query)[0], $0.query(columns)[0]) }.value
    #expect(new.0 == [.integer(1), .integer(300)] && new.1 == [.integer(2)])
    await session.close()
  }

  @Test("while a writer goes on: what comes out is one state of both tables, and the writer goes on from it")
  func busy() async throws {
    let world = try await MomentWorld(seed: 11, disk: ForgetfulDisk(seed: 11))
    defer { world.store.engine.close() }
    let (engine, id) = (world.store.engine, MomentWorld.account)
    _ = try await engine.write(id) { c in
      for table in ["a", "b"] { try c.execute("CREATE TABLE \(table)(x INTEGER PRIMARY KEY, y TEXT)") }
    }
    let info = try await world.archive.createSnapshot(of: engine, kind: .manual)
    let writer = Task {
      var n: Int64 = 0
      while !Task.isCancelled {
        n += 1
        let x = n * 7919 % 4000
        _ = try await engine.write(id) { c in
          for table in ["a", "b"] {
            try c.execute(
              "INSERT OR REPLACE INTO \(table) VALUES(?, ?)", .integer(x), .text(String(repeating: "y", count: 200)))
          }
        }
      }
      return n
    }
    let rows = "SELECT (SELECT count(*) FROM a) - (SELECT count(*) FROM b), (SELECT count(*) FROM a)"
    var undos = 0
    for round in 0..<12 {
      // The newest state that there is, as the archive has it while the writer goes on; now and then the empty one.
      let state: ArchivedState = round % 4 == 3 ? .snapshot(info.id) : .moment(.max / 2)
      _ = try await world.archive.restoreInPlace(world.request(state, UInt8(round + 1)), in: engine)
      #expect(try await engine.read(id) { try $0.query(rows)[0][0] }.value == .integer(0))
      guard round % 4 == 3 else { continue }
      let before = try await world.entry(UInt8(round + 1)).before
      _ = try await world.archive.restoreInPlace(world.request(.position(before), UInt8(round + 101)), in: engine)
      #expect(try await engine.read(id) { try $0.query(rows)[0][1].integer ?? 0 }.value > 100)
      undos += 1
    }
    writer.cancel()
    #expect(try await writer.value > 100 && undos == 3)
    let integrity = try await engine.read(id) { try $0.query("PRAGMA integrity_check") }.value
    #expect(integrity == [[.text("ok")]])
  }

  @Test("an erased recording does not come back, neither with a restore nor with an undo; its row goes and is counted")
  func erased() async throws {
    let world = try await MomentWorld(seed: 6, disk: ForgetfulDisk(seed: 6))
    defer { world.store.engine.close() }
    let (engine, id) = (world.store.engine, MomentWorld.account)
    while world.content.recordings.count < 3 { try await world.upload() }
    let rows = try await engine.read(id) { try RecordingCatalog.list($0, limit: 10) }.value
    let info = try await world.archive.createSnapshot(of: engine, kind: .manual)
    let full = world.content
    for _ in 0..<3 { try await world.deleteRecording() }
    try await world.collect()
    try engine.keyring(id).destroyRecordingKeys([rows[1].id])
    var expected = full
    expected.recordings[rows[1].key] = nil
    let report = try await world.inPlace(world.request(.snapshot(info.id), 1), expecting: expected)
    try await world.check("restored")
    #expect(report.erased == [rows[1].id] && report.returning == rows.count - 1)
    #expect(report.broughtBack == rows.count - 1, "their bytes had gone")
    // Its record names what came back, so a voter asks for bytes and keys before it takes the rows.
    let before = try #require(report.before)
    let records = try await engine.publishedRecords(id, from: before.index + 1, bytesMax: 1 << 20)?.records ?? []
    var named: [RecordingID] = []
    for record in records { named += try await engine.recordings(namedBy: record) }
    #expect(Set(named) == Set(rows.map(\.id)).subtracting([rows[1].id]))
    // One that is erased behind the restore does not come back with the undo of its undo.
    try await world.inPlace(world.request(.position(try await world.entry(1).before), 2), expecting: AccountContent())
    world.content.calls = full.calls
    world.content.notes = full.notes
    try await world.check("undone")
    try engine.keyring(id).destroyRecordingKeys([rows[2].id])
    expected.recordings[rows[2].key] = nil
    let again = try await world.inPlace(
      world.request(.position(try await world.entry(2).before), 3), expecting: expected)
    #expect(again.erased == [rows[2].id])
    try await world.check("undone again")
  }

  @Test("a dry run changes nothing and says what would: pages, recordings, rows by table")
  func dryRun() async throws {
    let world = try await MomentWorld(seed: 7, disk: ForgetfulDisk(seed: 7))
    defer { world.store.engine.close() }
    while world.content.recordings.count < 2 { try await world.upload() }
    try await world.writeCalls(5)
    let rows = world.content.calls.count
    let info = try await world.archive.createSnapshot(of: world.store.engine, kind: .manual)
    for _ in 0..<2 { try await world.deleteRecording() }
    while world.content.recordings.count < 1 { try await world.upload() }
    try await world.collect()
    try await world.commit { try $0.execute("DELETE FROM calls") }
    let before = try world.store.engine.published(MomentWorld.account)
    var request = world.request(.snapshot(info.id), 1)
    request.dryRun = true
    let report = try await world.archive.restoreInPlace(request, in: world.store.engine)
    #expect(try world.store.engine.published(MomentWorld.account) == before)
    #expect(report.before == before && report.position == nil && report.changedPages > 0)
    #expect(report.returning == 2 && report.broughtBack == 2 && report.vanishing == 1 && report.erased.isEmpty)
    let diff = try #require(report.diff)
    #expect(diff.tables.map(\.name) == ["calls"] && diff.rows.added == Int64(rows))
    #expect(diff.recordings.added + diff.recordings.removed + diff.recordings.replaced >= 2)
  }

  @Test("the same request restores once; its key with another request is refused")
  func once() async throws {
    let world = try await MomentWorld(seed: 8, disk: ForgetfulDisk(seed: 8))
    defer { world.store.engine.close() }
    try await world.writeCalls(5)
    let wanted = world.content
    let info = try await world.archive.createSnapshot(of: world.store.engine, kind: .manual)
    try await world.writeCalls(5)
    var request = world.request(.snapshot(info.id), 1)
    request.request = Idempotency(key: "again", requestHash: [1])
    let first = try await world.inPlace(request, expecting: wanted)
    try await world.writeCalls(3)
    try world.restart()
    request.id = [UInt8](repeating: 2, count: 16)
    let second = try await world.archive.restoreInPlace(request, in: world.store.engine)
    #expect(second.isRepeated && second.position == nil && second.before == first.before)
    try await world.check("nothing happened the second time")
    request.request = Idempotency(key: "again", requestHash: [2])
    do {
      _ = try await world.archive.restoreInPlace(request, in: world.store.engine)
      Issue.record("another request under the same key")
    } catch { #expect((error as? StoreError)?.code == .refused, "\(error)") }
  }

  @Test("what clients' requests and uploads rely on: open uploads go on, replies go and come with their effects")
  func systemRows() async throws {
    let world = try await MomentWorld(seed: 9, disk: ForgetfulDisk(seed: 9))
    defer { world.store.engine.close() }
    let (engine, id) = (world.store.engine, MomentWorld.account)
    let early = Idempotency(key: "early", requestHash: [1])
    let late = Idempotency(key: "late", requestHash: [1])
    func add(_ row: Int64, _ key: Idempotency) async throws -> Bool {
      try await engine.write(id, idempotency: key) { c in
        try c.execute("INSERT INTO calls VALUES(?, x'01')", .integer(row))
        return [1]
      }.replayed
    }
    #expect(try await add(1001, early) == false)
    let info = try await world.archive.createSnapshot(of: engine, kind: .manual)
    #expect(try await add(1002, late) == false)
    let upload = MultipartUpload(
      id: [UInt8](repeating: 9, count: 16), key: "open.wav", contentType: "audio/wav", metadata: "{}",
      createdAt: world.clock.unixMicroseconds())
    let part = try await engine.store(id, [UInt8](repeating: 3, count: 100_000))
    _ = try await engine.write(id) { c in
      try MultipartCatalog.begin(c, upload)
      try MultipartCatalog.put(c, part: 1, of: upload.id, part, checksum: "", at: 1)
    }
    _ = try await world.archive.restoreInPlace(world.request(.snapshot(info.id), 1), in: engine)
    let parts = try await engine.read(id) { try MultipartCatalog.parts($0, of: upload.id, limit: 10) }.value
    #expect(parts.map(\.id) == [part.id], "who uploads goes on")
    _ = try await engine.collectRecordings(id, grace: .zero, keepDeleted: .zero)
    #expect(try await engine.recording(id, part.id).size == 100_000)
    #expect(try await add(1001, early), "its effect is there, and so is its reply")
    #expect(try await add(1002, late) == false, "its effect went with the restore, so it runs again")
    let rows = try await engine.read(id) { try $0.query("SELECT id FROM calls WHERE id > 1000 ORDER BY id") }.value
    #expect(rows == [[.integer(1001)], [.integer(1002)]])
    // Clients go on making tables, and cannot touch the new one of the system.
    _ = try await engine.write(id) { c in try c.asClient(deadline: nil) { try c.execute("CREATE TABLE mine(x)") } }
    await #expect(throws: SQLiteError.self) {
      try await engine.write(id) { c in try c.asClient(deadline: nil) { try c.execute("DELETE FROM komora_restores") } }
    }
  }

  @Test("more pages than one transaction may have are refused with what to do, and nothing changes")
  func tooLarge() async throws {
    let clock = MovingClock()
    let disk = ForgetfulDisk(seed: 10)
    let store = try TestStore.open(disk, clock: clock) { $0.transactionPagesMax = 120 }
    defer { store.engine.close() }
    let id = AccountID(bits: 0xA)
    try await store.makeAccount(id, rows: 60, recordings: 0)
    let archive = store.archive(id)
    let info = try await archive.createSnapshot(of: store.engine, kind: .manual)
    for _ in 0..<6 {
      _ = try await store.engine.write(id) { c in
        for _ in 0..<100 {
          try c.execute("INSERT INTO calls(body) VALUES(?)", .text(String(repeating: "y", count: 3000)))
        }
      }
    }
    let last = try await archive.createSnapshot(of: store.engine, kind: .manual)
    let request = { (snapshot: SnapshotID, name: UInt8) in
      InPlaceRequest(
        .snapshot(snapshot), id: [UInt8](repeating: name, count: 16), unlockedBy: .keyEncryption(store.kek))
    }
    // Smaller is no matter: what is cut off costs nothing.
    _ = try await archive.restoreInPlace(request(info.id, 1), in: store.engine)
    let fingerprint = try await store.fingerprint(id)
    do {
      _ = try await archive.restoreInPlace(request(last.id, 2), in: store.engine)
      Issue.record("a restore of more pages than a transaction has")
    } catch let error as BackupError {
      #expect(error.code == .refused && error.message.contains("--as"), "\(error)")
    }
    #expect(try await store.fingerprint(id) == fingerprint)
  }
}
