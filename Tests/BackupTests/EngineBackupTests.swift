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

@Suite struct EngineBackupTests {
  private let account = AccountID(bits: 0xA)
  private let copy = AccountID(bits: 0xB)

  @Test("an account restored from a proven snapshot has every row and every recording")
  func restoring() async throws {
    let store = try TestStore.open(ForgetfulDisk(seed: 1))
    defer { store.engine.close() }
    try await store.makeAccount(account)
    let before = try await store.fingerprint(account)
    let archive = store.archive(account)
    let info = try await archive.createSnapshot(of: store.engine, kind: .manual)
    #expect(info.state == .proven && info.recordings == 4)
    // What comes later is not in the snapshot.
    _ = try await store.engine.write(account) { try $0.execute("DELETE FROM calls") }
    let report = try await archive.restore(
      RestoreRequest(snapshot: info.id, as: copy, unlockedBy: .keyEncryption(store.kek)), into: store.engine)
    #expect(report.erased.isEmpty && report.plan.recordings == 4)
    #expect(try await store.fingerprint(copy) == before)
    #expect(try store.engine.published(copy).index >= info.position.index)
  }

  @Test("the restored account goes on: it is written to, uploaded to, and its own snapshots are proven")
  func goingOn() async throws {
    let store = try TestStore.open(ForgetfulDisk(seed: 1))
    defer { store.engine.close() }
    try await store.makeAccount(account)
    let info = try await store.archive(account).createSnapshot(of: store.engine, kind: .manual)
    _ = try await store.archive(account).restore(
      RestoreRequest(snapshot: info.id, as: copy, unlockedBy: .keyEncryption(store.kek)), into: store.engine)
    _ = try await store.engine.write(copy) { try $0.execute("INSERT INTO calls(body) VALUES('new')") }
    try await store.addRecording(copy, "later.wav", bytes: 300_000, seed: 99)
    let second = try await store.archive(copy).createSnapshot(of: store.engine, kind: .daily)
    #expect(second.state == .proven && second.recordings == 5)
    #expect(second.position.index > info.position.index)
  }

  @Test("the account's directory is destroyed; the archive and the key bring all of it back under a new id")
  func disaster() async throws {
    let store = try TestStore.open(ForgetfulDisk(seed: 1))
    defer { store.engine.close() }
    try await store.makeAccount(account)
    let before = try await store.fingerprint(account)
    let info = try await store.archive(account).createSnapshot(of: store.engine, kind: .manual)
    try await store.engine.removeAccount(account)
    _ = try await store.archive(account).restore(
      RestoreRequest(snapshot: info.id, as: copy, unlockedBy: .keyEncryption(store.kek)), into: store.engine)
    #expect(try await store.fingerprint(copy) == before)
  }

  @Test("a snapshot while writers go on is one position: rows and recordings of that moment and none after")
  func consistentCut() async throws {
    let store = try TestStore.open(ForgetfulDisk(seed: 1))
    defer { store.engine.close() }
    try await store.makeAccount(account, rows: 20, recordings: 1)
    let engine = store.engine
    let id = account
    // Each transaction keeps two tables equal; a torn view would show a difference.
    _ = try await engine.write(id) { c in
      try c.execute("CREATE TABLE a(x)")
      try c.execute("CREATE TABLE b(x)")
    }
    let writer = Task {
      var n = 0
      while !Task.isCancelled {
        n += 1
        let value = Int64(n)
        _ = try await engine.write(id) { c in
          try c.execute("INSERT INTO a VALUES(?)", .integer(value))
          try c.execute("INSERT INTO b VALUES(?)", .integer(value))
        }
      }
      return n
    }
    var last: UInt64 = 0
    for i in 0..<5 {
      let info = try await store.archive(id).createSnapshot(of: engine, kind: .manual)
      #expect(info.position.index > last || i == 0)
      last = info.position.index
      let reader = try SnapshotReader.open(
        path: info.path, disk: store.disk, layout: store.archive(id).layout, unlockedBy: .keyEncryption(store.kek))
      let rows = try reader.pages.host.query { c in
        try c.query("SELECT (SELECT count(*) FROM a) - (SELECT count(*) FROM b), (SELECT count(*) FROM a)")
      }
      #expect(rows[0][0] == .integer(0))
    }
    writer.cancel()
    #expect(try await writer.value > 0)
  }

  @Test("an account that exists is not restored over, and a wrong key touches nothing")
  func refusals() async throws {
    let store = try TestStore.open(ForgetfulDisk(seed: 1))
    defer { store.engine.close() }
    try await store.makeAccount(account, rows: 10, recordings: 1)
    let archive = store.archive(account)
    let info = try await archive.createSnapshot(of: store.engine, kind: .manual)
    await expectError(.refused) {
      try await archive.restore(
        RestoreRequest(snapshot: info.id, as: account, unlockedBy: .keyEncryption(store.kek)), into: store.engine)
    }
    await expectError(.wrongKey) {
      try await archive.restore(
        RestoreRequest(snapshot: info.id, as: copy, unlockedBy: .keyEncryption(TestKeyEncryption(8))),
        into: store.engine)
    }
    await expectError(.notFound) {
      try await archive.restore(
        RestoreRequest(snapshot: SnapshotID(bits: 1), as: copy, unlockedBy: .keyEncryption(store.kek)),
        into: store.engine)
    }
    try store.disk.remove(archive.layout.keyring)
    await expectError(.refused) {
      try await archive.restore(
        RestoreRequest(snapshot: info.id, as: copy, unlockedBy: .keyEncryption(store.kek)), into: store.engine)
    }
    #expect(store.engine.accounts() == [account])
  }

  @Test("a restore from a damaged archive says where and leaves nothing")
  func damagedRestore() async throws {
    let disk = ForgetfulDisk(seed: 1)
    let store = try TestStore.open(disk)
    defer { store.engine.close() }
    try await store.makeAccount(account)
    let archive = store.archive(account)
    let info = try await archive.createSnapshot(of: store.engine, kind: .manual)
    for name in try disk.list(archive.layout.packs) { try disk.flip("\(archive.layout.packs)/\(name)", 300, bit: 1) }
    await expectError(.damaged) {
      try await archive.restore(
        RestoreRequest(snapshot: info.id, as: copy, unlockedBy: .keyEncryption(store.kek)), into: store.engine)
    }
    #expect(store.engine.accounts() == [account])
    #expect(try disk.list("/node/accounts") == ["\(account)"])
    // The next snapshot finds the damage in its proof and writes those chunks again.
    let healed = try await archive.createSnapshot(of: store.engine, kind: .manual)
    #expect(healed.state == .proven)
    _ = try await archive.restore(
      RestoreRequest(snapshot: info.id, as: copy, unlockedBy: .keyEncryption(store.kek)), into: store.engine)
    #expect(try await store.fingerprint(copy) == store.fingerprint(account))
  }

  @Test("a destroyed key erases its recording from old snapshots; the rest comes back")
  func erasure() async throws {
    let store = try TestStore.open(ForgetfulDisk(seed: 1))
    defer { store.engine.close() }
    try await store.makeAccount(account)
    let archive = store.archive(account)
    let info = try await archive.createSnapshot(of: store.engine, kind: .manual)
    let row = try await store.engine.read(account) { try RecordingCatalog.get($0, key: "calls/2.wav") }.value!
    let id = account
    _ = try await store.engine.write(account) { try RecordingCatalog.delete($0, key: "calls/2.wav", at: 5) }
    try store.engine.keyring(id).destroyRecordingKeys([row.id])
    _ = try await archive.createSnapshot(of: store.engine, kind: .manual)
    let report = try await archive.restore(
      RestoreRequest(snapshot: info.id, as: copy, unlockedBy: .keyEncryption(store.kek)), into: store.engine)
    #expect(report.erased == [row.id] && report.plan.erased == 1 && report.plan.recordings == 3)
    let rows = try await store.engine.read(copy) { try RecordingCatalog.list($0, limit: 10) }.value
    #expect(rows.map(\.key) == ["calls/0.wav", "calls/1.wav", "calls/3.wav"])
  }

  @Test("after a rotation or an erasure the archive's keyring is renewed without a snapshot")
  func renewedKeyring() async throws {
    let store = try TestStore.open(ForgetfulDisk(seed: 1))
    defer { store.engine.close() }
    try await store.makeAccount(account, rows: 10, recordings: 2)
    let archive = store.archive(account)
    let info = try await archive.createSnapshot(of: store.engine, kind: .manual)
    let row = try await store.engine.read(account) { try RecordingCatalog.get($0, key: "calls/1.wav") }.value!
    try store.engine.keyring(account).destroyRecordingKeys([row.id])
    let next = TestKeyEncryption(9)
    try store.engine.rotate(to: next)
    try await archive.refreshKeyring(from: store.engine)
    await expectError(.wrongKey) {
      try await archive.restore(
        RestoreRequest(snapshot: info.id, as: copy, unlockedBy: .keyEncryption(store.kek)), into: store.engine)
    }
    let request = RestoreRequest(snapshot: info.id, as: copy, unlockedBy: .keyEncryption(next))
    #expect(try await archive.restore(request, into: store.engine).erased == [row.id])
    await expectError(.exists) { try await archive.restore(request, into: store.engine) }
  }

  private func expectError(_ code: BackupError.Code, _ body: () async throws -> RestoreReport) async {
    do {
      let report = try await body()
      Issue.record("restored: \(report)")
    } catch let error as BackupError {
      #expect(error.code == code, "\(error)")
    } catch { Issue.record("another error: \(error)") }
  }
}
