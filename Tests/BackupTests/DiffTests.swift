// What differs between two states of an account, on the real engine and the real archive.

import AtRest
import Backup
import Base
import Disk
import Formats
import SQLite
import ShardStore
import Simulator
import Testing

@Suite struct DiffTests {
  private let account = AccountID(bits: 0xD)

  private struct Bed {
    let disk = ForgetfulDisk(seed: 3)
    let store: TestStore
    let account: AccountID

    init(_ account: AccountID, rows: Int = 0, recordings: Int = 0) async throws {
      store = try TestStore.open(disk)
      self.account = account
      try await store.makeAccount(account, rows: rows, recordings: recordings)
    }

    func write(_ script: String) async throws {
      _ = try await store.engine.write(account) { try $0.executeScript(script) }
    }

    func snapshot() async throws -> SnapshotID {
      try await store.archive(account).createSnapshot(of: store.engine, kind: .manual).id
    }

    func diff(_ from: DiffSide, _ to: DiffSide = .live, listed: Int = 1000) async throws -> DiffReport {
      let diff = SnapshotDiff(
        disk: disk, layout: store.archive(account).layout, unlockedBy: .keyEncryption(store.kek))
      return try await diff.run(DiffRequest(from: from, to: to, listed: listed), in: store.engine)
    }

    /// What `script` changes, told as lines.
    func changes(by script: String) async throws -> [String] {
      let before = try await snapshot()
      try await write(script)
      return Self.lines(try await diff(.snapshot(before)))
    }

    static func lines(_ report: DiffReport) -> [String] {
      report.listedRows.map {
        "\($0.table) \($0.change) \($0.key.joined(separator: " ")) \($0.columns.joined(separator: " "))"
      }
    }
  }

  @Test("rows that came, went and changed are found by their key, whatever kind of key a table has")
  func keys() async throws {
    let bed = try await Bed(account)
    defer { bed.store.engine.close() }
    try await bed.write(
      """
      CREATE TABLE plain (a, b);
      INSERT INTO plain VALUES (1, 'x'), (2, 'y'), (3, 'z');
      CREATE TABLE texts (k TEXT PRIMARY KEY, v);
      INSERT INTO texts VALUES ('a', 1), ('b', 2), ('c', 3), (NULL, 4), (NULL, 5);
      CREATE TABLE folded (k TEXT COLLATE NOCASE PRIMARY KEY, v);
      INSERT INTO folded VALUES ('One', 1), ('Two', 2);
      CREATE TABLE pairs (r TEXT, n, v, PRIMARY KEY (r DESC, n)) WITHOUT ROWID;
      INSERT INTO pairs VALUES ('eu', 1, x'00'), ('eu', 2.5, NULL), ('us', 'x', ''), ('us', x'ff', 0);
      CREATE TABLE downwards (id INTEGER PRIMARY KEY DESC, v);
      INSERT INTO downwards VALUES (5, 'five'), (7, 'seven');
      CREATE TABLE "дані ""1"" [x]" (rowid TEXT, "ключ" INTEGER PRIMARY KEY, v);
      INSERT INTO "дані ""1"" [x]" VALUES ('not the rowid', 9, 'é'), ('nor this', 10, 'e');
      """)
    let lines = try await bed.changes(
      by: """
        UPDATE plain SET b = 'changed' WHERE a = 2;
        DELETE FROM plain WHERE a = 1;
        INSERT INTO plain VALUES (9, NULL);
        DELETE FROM texts WHERE k = 'b';
        DELETE FROM texts WHERE k = 'a';
        INSERT INTO texts VALUES ('a', 1), ('d', 3);
        UPDATE texts SET v = 50 WHERE v = 5;
        UPDATE folded SET k = 'ONE' WHERE v = 1;
        DELETE FROM folded WHERE k = 'two';
        INSERT INTO folded VALUES ('TWO', 22);
        UPDATE pairs SET v = x'0000' WHERE n = 1;
        DELETE FROM pairs WHERE n = 'x';
        INSERT INTO pairs VALUES ('us', 3, 3), (x'00', '', NULL);
        UPDATE downwards SET v = 5 WHERE id = 5;
        UPDATE downwards SET id = 8 WHERE id = 7;
        UPDATE "дані ""1"" [x]" SET v = 'e' || char(769) WHERE "ключ" = 9;
        """)
    #expect(
      Set(lines) == [
        "plain removed 1 ", "plain changed 2 b", "plain added 4 ",
        "texts removed 'b' ", "texts added 'd' ", "texts changed NULL v",
        "folded changed 'ONE' k", "folded changed 'TWO' k v",
        "pairs changed 'eu' 1 v", "pairs removed 'us' 'x' ", "pairs added 'us' 3 ", "pairs added x'00' '' ",
        "downwards changed 5 v", "downwards removed 7 ", "downwards added 8 ",
        "дані \"1\" [x] changed 9 v",
      ], "\(lines)")
    #expect(lines.count == 16)
  }

  @Test("types and bytes count, not what SQLite would call equal: 1, 1.0, '1', x'31', NULL, broken UTF-8")
  func values() async throws {
    let bed = try await Bed(account)
    defer { bed.store.engine.close() }
    try await bed.write(
      """
      CREATE TABLE t (id INTEGER PRIMARY KEY, v);
      INSERT INTO t VALUES (1, 1), (2, '1'), (3, x''), (4, CAST(x'61ff' AS TEXT)), (5, 1e300), (6, 'same'),
        (7, zeroblob(100000)), (8, 'a' || char(0) || 'b');
      CREATE TABLE k (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
      INSERT INTO k VALUES (CAST(x'ff' AS TEXT), 1), (CAST(x'fe' AS TEXT), 2);
      """)
    let lines = try await bed.changes(
      by: """
        UPDATE t SET v = 1.0 WHERE id = 1;
        UPDATE t SET v = x'31' WHERE id = 2;
        UPDATE t SET v = NULL WHERE id = 3;
        UPDATE t SET v = CAST(x'61fe' AS TEXT) WHERE id = 4;
        UPDATE t SET v = 1e300 WHERE id = 5;
        UPDATE t SET v = CAST(zeroblob(99999) || x'01' AS BLOB) WHERE id = 7;
        UPDATE t SET v = 'a' || char(0) || 'c' WHERE id = 8;
        UPDATE k SET v = 3 WHERE v = 2;
        """)
    #expect(
      lines == ["k changed '\u{FFFD}' v"] + [1, 2, 3, 4, 7, 8].map { "t changed \($0) v" }, "\(lines)")
  }

  @Test("tables and columns that one side has, other keys, and what is declared otherwise")
  func declarations() async throws {
    let bed = try await Bed(account)
    defer { bed.store.engine.close() }
    try await bed.write(
      """
      CREATE TABLE gone (x); INSERT INTO gone VALUES (1), (2);
      CREATE TABLE wider (id INTEGER PRIMARY KEY, a, b, sum AS (a + b)); INSERT INTO wider VALUES (1, 1, 1), (2, 2, 2);
      CREATE TABLE rekeyed (a TEXT PRIMARY KEY, b); INSERT INTO rekeyed VALUES ('x', 1), ('y', 2);
      CREATE TABLE hidden (rowid, _rowid_, oid); INSERT INTO hidden VALUES (1, 2, 3);
      CREATE VIEW seen AS SELECT a FROM wider;
      """)
    let before = try await bed.snapshot()
    try await bed.write(
      """
      DROP TABLE gone;
      CREATE TABLE came (x); INSERT INTO came VALUES (1), (2), (3);
      DROP VIEW seen;
      ALTER TABLE wider ADD COLUMN c DEFAULT 7; ALTER TABLE wider DROP COLUMN sum; ALTER TABLE wider DROP COLUMN b;
      UPDATE wider SET a = 5 WHERE id = 2;
      DROP TABLE rekeyed; CREATE TABLE rekeyed (a TEXT, b, PRIMARY KEY (a, b)); INSERT INTO rekeyed VALUES ('x', 1);
      UPDATE hidden SET oid = 4;
      CREATE INDEX wider_a ON wider (a);
      """)
    let report = try await bed.diff(.snapshot(before))
    #expect(
      report.schema.map { "\($0.kind) \($0.name) \($0.change)" } == [
        "index wider_a added", "table came added", "table gone removed", "table rekeyed changed",
        "table wider changed", "view seen removed",
      ])
    let tables = Dictionary(uniqueKeysWithValues: report.tables.map { ($0.name, $0) })
    #expect(tables.keys.sorted() == ["came", "gone", "hidden", "rekeyed", "wider"])
    #expect(tables["came"]?.change == .added && tables["came"]?.rows.added == 3)
    #expect(tables["gone"]?.change == .removed && tables["gone"]?.rows.removed == 2)
    #expect(tables["wider"]?.columnsAdded == ["c"] && tables["wider"]?.columnsRemoved == ["b"])
    #expect(tables["wider"]?.rows.changed == 1)
    #expect(tables["rekeyed"]?.note == "has another key" && tables["rekeyed"]?.rows.removed == 2)
    #expect(tables["hidden"]?.note == "its rowid has no name" && tables["hidden"]?.rows.added == 1)
    #expect(Bed.lines(report) == ["wider changed 2 a"])
    let back = try await bed.diff(.live, .snapshot(before))
    #expect(back.rows.added == report.rows.removed && back.rows.removed == report.rows.added)
    #expect(back.rows.changed == report.rows.changed && back.from.name == "live")
  }

  @Test("recordings: added, removed, replaced by other bytes, described otherwise; the same bytes again are no change")
  func recordings() async throws {
    let bed = try await Bed(account, recordings: 4)
    defer { bed.store.engine.close() }
    let before = try await bed.snapshot()
    let store = bed.store
    _ = try await store.engine.write(account) { connection in
      _ = try RecordingCatalog.delete(connection, key: "calls/0.wav", at: 5)
      _ = try RecordingCatalog.describe(connection, key: "calls/3.wav", contentType: "a/b", metadata: "{}", at: nil)
    }
    try await store.addRecording(account, "calls/1.wav", bytes: 200_010, seed: 77)
    try await store.addRecording(account, "calls/2.wav", bytes: 400_010, seed: 2)
    try await store.addRecording(account, "дзвінок.wav", bytes: 10, seed: 5)
    let report = try await bed.diff(.snapshot(before))
    #expect(
      report.listedRecordings.map { "\($0.change) \($0.key)" }.sorted() == [
        "added дзвінок.wav", "described calls/3.wav", "removed calls/0.wav", "replaced calls/1.wav",
      ])
    let counts = report.recordings
    #expect(counts.added == 1 && counts.removed == 1 && counts.replaced == 1 && counts.described == 1)
    #expect(report.tables.isEmpty && !report.isIdentical)
  }

  @Test("an unchanged database is known by the names of its chunks: not one of them is read")
  func unchanged() async throws {
    let bed = try await Bed(account, rows: 2000, recordings: 2)
    defer { bed.store.engine.close() }
    let first = try await bed.snapshot()
    let same = try await bed.snapshot()
    try await bed.write("UPDATE calls SET body = 'other' WHERE id = 700")
    let later = try await bed.snapshot()
    let layout = bed.store.archive(account).layout
    #expect(try await bed.diff(.snapshot(first), .snapshot(later)).listedRows.map(\.key) == [["700"]])
    #expect(try await bed.diff(.snapshot(later), .live).isIdentical)
    // Every frame of every pack but its list: whatever reads a chunk fails.
    for name in try bed.disk.list(layout.packs) { try bed.disk.flip("\(layout.packs)/\(name)", 100, bit: 1) }
    for name in try bed.disk.list(layout.packs) {
      let size = try bed.disk.open("\(layout.packs)/\(name)", .read).size()
      for offset in stride(from: 400, to: max(Int(size) - 8000, 401), by: 300) {
        try bed.disk.flip("\(layout.packs)/\(name)", offset, bit: 1)
      }
    }
    let report = try await bed.diff(.snapshot(first), .snapshot(same))
    #expect(report.isIdentical && report.from.name == "\(first)" && report.to.name == "\(same)")
    #expect(try await bed.diff(.snapshot(later), .live).isIdentical)
    await #expect(throws: BackupError.self) { try await bed.diff(.snapshot(first), .snapshot(later)) }
  }

  @Test("lists end where they were told to, counts do not")
  func lists() async throws {
    let bed = try await Bed(account, rows: 50)
    defer { bed.store.engine.close() }
    let before = try await bed.snapshot()
    try await bed.write("DELETE FROM calls WHERE id > 20")
    for (listed, expected) in [(0, 0), (7, 7), (100, 30)] {
      let report = try await bed.diff(.snapshot(before), listed: listed)
      #expect(report.rows.removed == 30 && report.listedRows.count == expected)
      #expect(report.isCut == (listed == 7))
    }
    try await bed.write("CREATE TABLE wide (k TEXT PRIMARY KEY)")
    let wide = try await bed.snapshot()
    try await bed.write(
      """
      WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000)
      INSERT INTO wide SELECT n || hex(zeroblob(600)) FROM c
      """)
    let report = try await bed.diff(.snapshot(wide), listed: 10_000)
    let bytes = report.listedRows.reduce(0) { $0 + $1.key[0].utf8.count }
    #expect(report.rows.added == 5000 && report.isCut && bytes <= DiffListing.bytesMax && bytes > 1 << 19)
  }

  @Test("a snapshot that is not there, and a comparison that nobody waits for, end with a reason")
  func refusals() async throws {
    let bed = try await Bed(account, rows: 3000)
    defer { bed.store.engine.close() }
    let before = try await bed.snapshot()
    try await bed.write("UPDATE calls SET body = body || 'x'")
    do {
      _ = try await bed.diff(.snapshot(SnapshotID(bits: 1)))
      Issue.record("compared with nothing")
    } catch let error as BackupError { #expect(error.code == .notFound) }
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return try await bed.diff(.snapshot(before))
    }
    await #expect(throws: BackupError.self) { try await task.value }
    #expect(DiffSide("live") == .live && DiffSide("\(before)") == .snapshot(before) && DiffSide("yesterday") == nil)
  }
}
