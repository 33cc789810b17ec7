// Restores of a part: the chosen rows and recordings, everything as it was declared, and nothing else, not even in pages
// that nobody reads.

import AtRest
import Backup
import Base
import Disk
import Formats
import SQLite
import ShardStore
import Simulator
import Testing

@Suite struct SelectionTests {
  private static let copy = AccountID(bits: 0xB)

  private func world() async throws -> (MergeWorld, SnapshotID) {
    let world = try await MergeWorld(making: false)
    try await world.store.makeAccount(MergeWorld.account, rows: 40, recordings: 4)
    try await world.sql(
      "CREATE TABLE agents (id INTEGER PRIMARY KEY, secret TEXT)", "INSERT INTO agents VALUES (1, 'not for everybody')",
      "CREATE TABLE kept (id INTEGER PRIMARY KEY, agent INTEGER REFERENCES agents, body TEXT)",
      "INSERT INTO kept VALUES (7, 1, 'seven'), (8, 1, 'not for everybody'), (9, NULL, 'nine')",
      "CREATE INDEX kept_by_body ON kept (body)", "CREATE VIEW seen AS SELECT body FROM kept",
      "CREATE TRIGGER came AFTER INSERT ON kept BEGIN SELECT RAISE(ABORT, 'never'); END",
      "CREATE VIRTUAL TABLE words USING fts5(t)", "INSERT INTO words VALUES ('not for everybody')",
      "PRAGMA user_version=42")
    return (world, try await world.snapshot())
  }

  private func request(_ world: MergeWorld, _ snapshot: SnapshotID, _ only: String...) throws -> SelectionRequest {
    SelectionRequest(.snapshot(snapshot), try RowSelection(only), unlockedBy: .keyEncryption(world.store.kek))
  }

  @Test("a restore of a part has the chosen rows and recordings, all declarations, and not a byte of the rest")
  func part() async throws {
    let (world, snapshot) = try await world()
    defer { world.close() }
    let (store, archive) = (world.store, world.store.archive(MergeWorld.account))
    let wanted = try request(world, snapshot, "row:kept/7,9", "recording:calls/[13].wav", "recording:calls/?.wav")
    let plan = try await archive.plan(wanted)
    #expect(plan.rows == 2 && plan.recordings == 4 && plan.erased == 0)
    #expect(!store.engine.accounts().contains(Self.copy))
    let one = try request(world, snapshot, "row:kept/7,9", "recording:calls/3.wav")
    let done = try await archive.restore(one, as: Self.copy, into: store.engine)
    #expect(done.rows == 2 && done.recordings == 1)
    let rows = try await store.engine.read(Self.copy) { connection in
      try connection.query("SELECT id, agent, body FROM kept ORDER BY id")
        + connection.query(
          "SELECT (SELECT count(*) FROM calls), (SELECT count(*) FROM agents), (SELECT count(*) FROM words)")
        + connection.query("SELECT count(*) FROM sqlite_schema WHERE name IN ('kept_by_body', 'seen', 'came', 'words')")
        + connection.query("PRAGMA user_version") + connection.query("SELECT key FROM komora_objects")
    }.value
    #expect(
      rows == [
        [.integer(7), .integer(1), .text("seven")], [.integer(9), .null, .text("nine")],
        [.integer(0), .integer(0), .integer(0)], [.integer(4)], [.integer(42)], [.text("calls/3.wav")],
      ])
    let view = try await store.engine.pin(Self.copy)
    let secret = Array("not for everybody".utf8)
    for number in 1...view.pageCount {
      let page = try view.readPage(PageNumber(number))
      #expect(!page.indices.contains { page[$0...].starts(with: secret) }, "page \(number)")
    }
    // The recording is whole, and the account goes on.
    let hashes = try await store.fingerprint(Self.copy).filter { $0.hasPrefix("calls/3.wav ") }
    #expect(hashes == (try await store.fingerprint(MergeWorld.account).filter { $0.hasPrefix("calls/3.wav ") }))
    _ = try await store.engine.write(Self.copy) { try $0.execute("INSERT INTO calls(body) VALUES ('new')") }
    #expect(try await store.archive(Self.copy).createSnapshot(of: store.engine, kind: .daily).state == .proven)
  }

  @Test("what cannot be chosen is refused, and nothing is made")
  func refusals() async throws {
    let (world, snapshot) = try await world()
    defer { world.close() }
    let archive = world.store.archive(MergeWorld.account)
    for pattern in ["table:nobody", "table:words", "table:seen", "table:komora_recordings", "table:kept?nobody=1"] {
      await expectError(.refused) {
        try await archive.restore(request(world, snapshot, pattern), as: Self.copy, into: world.store.engine)
      }
    }
    #expect(world.store.engine.accounts() == [MergeWorld.account])
  }

  @Test("offline, the files hold the chosen part alone")
  func offline() async throws {
    let (world, snapshot) = try await world()
    defer { world.close() }
    _ = snapshot
    let keyring = try world.store.engine.keyring(MergeWorld.account)
    let recovery = RecoveryFile(account: MergeWorld.account, accountKey: keyring.accountKey, at: 1)
    let restore = try OfflineRestore(disk: world.store.disk, archive: "/archive", recovery: recovery)
    let report = try restore.run(out: "/out", only: RowSelection(["row:kept/7", "recording:calls/2.wav"]))
    #expect(report.plan.recordings == 1)
    let file = try world.store.disk.open("/out/account.sqlite", .read)
    let bytes = try file.read(Int(report.plan.databaseBytes), at: 0)
    let database = try Connection(image: bytes)
    #expect(try database.query("SELECT id, body FROM kept") == [[.integer(7), .text("seven")]])
    #expect(try database.query("SELECT count(*) FROM calls") == [[.integer(0)]])
    #expect(try database.query("PRAGMA integrity_check") == [[.text("ok")]])
    #expect(try world.store.disk.list("/out/recordings/calls") == ["2.wav"])
  }
}
