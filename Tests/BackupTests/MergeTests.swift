// Merges of chosen rows into a live account: what comes back, what is a conflict, and what nothing may break.

import Backup
import Base
import SQLite
import ShardStore
import Testing

@Suite struct MergeTests {
  @Test("fourteen rows that were deleted by mistake come back, the rest stays, and undo takes exactly them away")
  func fourteen() async throws {
    let world = try await MergeWorld()
    defer { world.close() }
    try await world.sql("CREATE TABLE calls (id INTEGER PRIMARY KEY, note TEXT)")
    for i in 1...40 { try await world.sql("INSERT INTO calls VALUES (\(i), 'call \(i)')") }
    let snapshot = try await world.snapshot()
    try await world.sql("DELETE FROM calls WHERE id BETWEEN 7 AND 20", "DELETE FROM calls WHERE id = 30")
    try await world.sql("INSERT INTO calls VALUES (41, 'new')", "UPDATE calls SET note = 'other' WHERE id = 1")
    let before = try await world.content()
    let request = try world.request(snapshot, "row:calls/7,8,9..20")
    let plan = try await world.run(try world.request(snapshot, "row:calls/7..20", dryRun: true))
    #expect(plan.inserted == 14 && plan.conflictCount == 0)
    #expect(try await world.content() == before)
    let report = try await world.run(request)
    #expect(report.inserted == 14 && report.equal == 0 && report.changes == 14)
    #expect(try await world.rows("SELECT count(*) FROM calls WHERE id BETWEEN 7 AND 20") == [[.integer(14)]])
    #expect(try await world.rows("SELECT note FROM calls WHERE id IN (1, 41)") == [[.text("other")], [.text("new")]])
    #expect(try await world.undo(report).removed == 14)
    #expect(try await world.content() == before)
    await expectError(.refused) { try await world.undo(report) }
  }

  @Test("conditions, globs, compound keys and odd names choose rows; values are never SQL")
  func patterns() async throws {
    let world = try await MergeWorld()
    defer { world.close() }
    try await world.sql(
      "CREATE TABLE calls (id INTEGER PRIMARY KEY, started TEXT, secs INTEGER, any)",
      "CREATE TABLE \"a\"\"b';--\" (\"x\"\"y\" TEXT PRIMARY KEY, z)",
      "CREATE TABLE pairs (a TEXT, b INTEGER, v, PRIMARY KEY (a, b)) WITHOUT ROWID")
    for i in 1...9 {
      try await world.sql(
        "INSERT INTO calls VALUES (\(i), '2026-11-0\(i)', \(i * 10), \(i % 2 == 0 ? "'\(i)'" : "\(i)"))",
        "INSERT INTO \"a\"\"b';--\" VALUES ('ключ \(i)*[x', \(i))", "INSERT INTO pairs VALUES ('A/\(i % 2)', \(i), 1)")
    }
    let snapshot = try await world.snapshot()
    try await world.sql("DELETE FROM calls", "DELETE FROM \"a\"\"b';--\"", "DELETE FROM pairs")
    func chosen(_ pattern: String) async throws -> Int64 {
      try await world.run(try world.request(snapshot, pattern, dryRun: true)).inserted
    }
    #expect(try await chosen("table:CALLS") == 9)
    #expect(try await chosen("table:calls?started>=2026-11-03&secs<70") == 4)
    #expect(try await chosen("table:calls?any=4") == 1)
    #expect(try await chosen("table:calls?any='3'") == 0)
    #expect(try await chosen("table:calls?started~2026-11-0?&id!=1") == 8)
    #expect(try await chosen("row:calls/..3,8..") == 5)
    #expect(try await chosen("row:a\"b';--/ключ 3%2A[x") == 1)
    #expect(try await chosen("row:a\"b';--/ключ ?%2A[*") == 9)
    #expect(try await chosen("row:pairs/A%2F1/3") == 1)
    #expect(try await chosen("row:pairs/A%2F1/*") == 5)
    for hostile in ["1) OR (1", "1; DROP TABLE calls", "x' OR 1=1 --", "\" OR \"\"=\""] {
      #expect(try await chosen("table:calls?started=\(hostile.replacing("&", with: "%26"))") == 0)
    }
    for wrong in [
      "table:nobody", "table:calls?nobody=1", "row:calls/abc", "row:pairs/A", "row:pairs/A..B", "table:komora_requests",
      "table:sqlite_schema", "table:calls?id\") OR (1=1",
    ] {
      await expectError(.refused) { try await chosen(wrong) }
    }
    #expect(try await world.rows("SELECT count(*) FROM calls") == [[.integer(0)]])
  }

  @Test("triggers do not fire, and are named; generated columns and checks hold; constraints' own answers do not count")
  func triggers() async throws {
    let world = try await MergeWorld()
    defer { world.close() }
    try await world.sql(
      """
      CREATE TABLE calls (id INTEGER PRIMARY KEY, ext TEXT UNIQUE ON CONFLICT REPLACE, secs INTEGER CHECK (secs >= 0),
        minutes GENERATED ALWAYS AS (secs / 60) STORED, note TEXT NOT NULL)
      """, "CREATE TABLE audit (what TEXT)",
      "CREATE TRIGGER came AFTER INSERT ON calls BEGIN INSERT INTO audit VALUES ('came'); END",
      "CREATE TRIGGER went BEFORE DELETE ON calls BEGIN SELECT RAISE(ABORT, 'never'); END",
      "INSERT INTO calls (id, ext, secs, note) VALUES (1, 'a', 120, 'n'), (2, 'b', 60, 'n'), (3, 'c', 0, 'n')",
      "DELETE FROM audit")
    let snapshot = try await world.snapshot()
    try await world.sql(
      "DROP TRIGGER went", "DELETE FROM calls",
      "CREATE TRIGGER went BEFORE DELETE ON calls BEGIN SELECT RAISE(ABORT, 'never'); END",
      "INSERT INTO calls (id, ext, secs, note) VALUES (9, 'c', 5, 'of another call')", "DELETE FROM audit")
    let before = try await world.content()
    let refused = try await world.refused { try await world.run(world.request(snapshot, "table:calls", policy: .take)) }
    #expect(refused.violations == 1 && refused.conflicts[0].key == ["3"])
    #expect(refused.conflicts[0].reason?.contains("calls.ext") == true)
    #expect(try await world.content() == before)
    let report = try await world.run(world.request(snapshot, "row:calls/1,2"))
    #expect(report.inserted == 2 && report.tables[0].triggers == ["came", "went"])
    #expect(try await world.rows("SELECT count(*) FROM audit") == [[.integer(0)]])
    #expect(try await world.rows("SELECT minutes FROM calls WHERE id = 1") == [[.integer(2)]])
    #expect(try await world.undo(report).removed == 2)
    #expect(try await world.content() == before)
    // And afterwards they fire again.
    try await world.sql("INSERT INTO calls (id, secs, note) VALUES (20, 1, 'n')")
    #expect(try await world.rows("SELECT count(*) FROM audit") == [[.integer(1)]])
  }

  @Test("values that swapped places in a unique column come back one after the other")
  func uniqueChain() async throws {
    let world = try await MergeWorld()
    defer { world.close() }
    try await world.sql(
      "CREATE TABLE ext (id INTEGER PRIMARY KEY, number TEXT UNIQUE)",
      "INSERT INTO ext VALUES (1,'a'), (2,'b'), (3,'c')")
    let snapshot = try await world.snapshot()
    try await world.sql(
      "UPDATE ext SET number = 'x' WHERE id = 3", "UPDATE ext SET number = 'c' WHERE id = 2",
      "UPDATE ext SET number = 'b' WHERE id = 1")
    let before = try await world.content()
    let report = try await world.run(world.request(snapshot, "table:ext", policy: .take))
    #expect(report.changed == 3)
    #expect(try await world.rows("SELECT number FROM ext ORDER BY id") == [[.text("a")], [.text("b")], [.text("c")]])
    #expect(try await world.undo(report).changed == 3)
    #expect(try await world.content() == before)
  }

  @Test("foreign keys hold at the end, whatever the order; nothing cascades")
  func foreignKeys() async throws {
    let world = try await MergeWorld()
    defer { world.close() }
    try await world.sql(
      "CREATE TABLE agents (id INTEGER PRIMARY KEY, name TEXT UNIQUE)",
      """
      CREATE TABLE calls (id INTEGER PRIMARY KEY, agent INTEGER REFERENCES agents ON DELETE CASCADE,
        name TEXT REFERENCES agents(name) ON UPDATE CASCADE)
      """, "INSERT INTO agents VALUES (1, 'Olena'), (2, 'Ivan')",
      "INSERT INTO calls VALUES (10, 1, 'Olena'), (11, 2, 'Ivan')"
    )
    let snapshot = try await world.snapshot()
    try await world.sql("DELETE FROM calls WHERE id = 10", "DELETE FROM agents WHERE id = 1")
    let before = try await world.content()
    let alone = try await world.refused { try await world.run(world.request(snapshot, "table:calls")) }
    #expect(alone.violations == 2 && alone.conflicts[0].table == "calls" && alone.conflicts[0].key == ["10"])
    #expect(alone.conflicts[0].reason?.contains("agents") == true)
    #expect(try await world.content() == before)
    // The child comes before its parent.
    let report = try await world.run(world.request(snapshot, "table:calls", "table:agents"))
    #expect(report.inserted == 2)
    // A later call of the agent that came back would go with him.
    try await world.sql("INSERT INTO calls VALUES (12, 1, 'Olena')")
    let cascade = try await world.refused { try await world.undo(report) }
    #expect(cascade.violations > 0)
    #expect(try await world.rows("SELECT count(*) FROM calls") == [[.integer(3)]])
    try await world.sql("DELETE FROM calls WHERE id = 12")
    #expect(try await world.undo(report).removed == 2)
    #expect(try await world.content() == before)
    // An old name would change the names in other tables.
    try await world.sql("UPDATE agents SET name = 'Ivanko' WHERE id = 2")
    let renamed = try await world.refused {
      try await world.run(world.request(snapshot, "row:agents/2", policy: .take))
    }
    #expect(renamed.violations == 1)
    #expect(try await world.rows("SELECT name FROM calls") == [[.text("Ivanko")]])
    // Keys are asked at once again for whoever writes next.
    await #expect(throws: SQLiteError.self) { try await world.sql("INSERT INTO calls VALUES (99, 77, NULL)") }
  }

  @Test("a dropped table is made again with its indexes, and undo drops it unless others have rows in it")
  func droppedTable() async throws {
    let world = try await MergeWorld()
    defer { world.close() }
    try await world.sql(
      "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, t TEXT)", "CREATE UNIQUE INDEX by_t ON notes (t)",
      "CREATE TRIGGER noted AFTER INSERT ON notes BEGIN SELECT RAISE(ABORT, 'never'); END", "CREATE TABLE other (a)")
    try await world.sql("DROP TRIGGER noted", "INSERT INTO notes VALUES (5, 'five'), (6, 'six')")
    let snapshot = try await world.snapshot()
    try await world.sql("DROP TABLE notes")
    let before = try await world.rows("SELECT name FROM sqlite_schema ORDER BY name")
    let report = try await world.run(world.request(snapshot, "row:notes/5"))
    #expect(report.inserted == 1 && report.tables[0].isMade)
    await #expect(throws: SQLiteError.self) { try await world.sql("INSERT INTO notes (t) VALUES ('five')") }
    try await world.sql("INSERT INTO notes (t) VALUES ('later')")
    let refused = try await world.refused { try await world.undo(report) }
    #expect(refused.conflictCount == 1)
    #expect(try await world.rows("SELECT t FROM notes ORDER BY t") == [[.text("five")], [.text("later")]])
    try await world.sql("DELETE FROM notes WHERE t = 'later'")
    let undone = try await world.undo(report)
    #expect(undone.removed == 1 && undone.tables[0].isDropped)
    let after = try await world.rows("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'komora_merge%' ORDER BY name")
    #expect(after == before.filter { !($0[0].text ?? "").hasPrefix("komora_merge") })
  }

  @Test("columns of one side only, other keys and views in place of tables are told, not guessed")
  func otherSchemas() async throws {
    let world = try await MergeWorld()
    defer { world.close() }
    try await world.sql(
      "CREATE TABLE calls (id INTEGER PRIMARY KEY, gone TEXT, note TEXT)", "INSERT INTO calls VALUES (1, 'g', 'n')",
      "CREATE TABLE k (a TEXT PRIMARY KEY)", "INSERT INTO k VALUES ('x')", "CREATE TABLE v (a)",
      "INSERT INTO v VALUES (1)",
      "CREATE VIEW then_view AS SELECT 1 AS a")
    let snapshot = try await world.snapshot()
    try await world.sql(
      "DELETE FROM calls", "ALTER TABLE calls DROP COLUMN gone", "ALTER TABLE calls ADD COLUMN new TEXT DEFAULT 'd'",
      "DROP TABLE k", "CREATE TABLE k (a TEXT, b, PRIMARY KEY (a, b))", "DROP TABLE v", "CREATE VIEW v AS SELECT 2 AS a"
    )
    let report = try await world.run(world.request(snapshot, "table:calls"))
    #expect(report.tables[0].columnsThen == ["gone"] && report.tables[0].columnsNow == ["new"])
    #expect(try await world.rows("SELECT * FROM calls") == [[.integer(1), .text("n"), .text("d")]])
    for table in ["k", "v", "then_view"] {
      await expectError(.refused) { try await world.run(world.request(snapshot, "table:\(table)", policy: .take)) }
    }
    try await world.sql("ALTER TABLE calls ADD COLUMN more")
    let altered = try await world.refused { try await world.undo(report, .take) }
    #expect(altered.violations == 1)
    let kept = try await world.undo(report, .keep)
    #expect(kept.conflictCount == 0 || kept.removed == 0)
    #expect(try await world.rows("SELECT count(*) FROM calls") == [[.integer(1)]])
  }

  @Test("a table of 2,000 columns comes back, and text that is no UTF-8 stays what it is")
  func wide() async throws {
    let world = try await MergeWorld()
    defer { world.close() }
    let columns = (0..<2000).map { "c\($0)" }.joined(separator: ",")
    try await world.sql("CREATE TABLE wide (\(columns))", "CREATE TABLE raw (id INTEGER PRIMARY KEY, t TEXT)")
    try await world.sql(
      "INSERT INTO wide (c0, c1999) VALUES (1, 'last'), (2, 'second')",
      "INSERT INTO raw VALUES (1, CAST(x'ff00fe' AS TEXT))")
    let snapshot = try await world.snapshot()
    try await world.sql("DELETE FROM wide WHERE c0 = 1", "UPDATE raw SET t = CAST(x'fd' AS TEXT)")
    let before = try await world.rows("SELECT hex(t) FROM raw")
    let report = try await world.run(world.request(snapshot, "table:wide", "table:raw", policy: .take))
    #expect(report.inserted == 1 && report.changed == 1 && report.equal == 1)
    #expect(try await world.rows("SELECT c1999 FROM wide ORDER BY rowid") == [[.text("last")], [.text("second")]])
    #expect(try await world.rows("SELECT hex(t) FROM raw") == [[.text("FF00FE")]])
    _ = try await world.undo(report)
    #expect(try await world.rows("SELECT hex(t) FROM raw") == before)
  }

  @Test("tenants neither see nor touch what undoes a merge, and still change their schema")
  func hidden() async throws {
    let world = try await MergeWorld()
    defer { world.close() }
    try await world.sql("CREATE TABLE calls (id INTEGER PRIMARY KEY)", "INSERT INTO calls VALUES (1)")
    let snapshot = try await world.snapshot()
    try await world.sql("DELETE FROM calls")
    _ = try await world.run(world.request(snapshot, "table:calls"))
    func client(_ sql: String) async throws {
      _ = try await world.store.engine.write(MergeWorld.account) { connection in
        try connection.asClient(deadline: nil) { try connection.query(sql) }
      }
    }
    for sql in [
      "SELECT * FROM komora_merge_rows", "SELECT * FROM komora_merges", "DELETE FROM komora_merge_rows",
      "DROP TABLE komora_merges",
    ] {
      await #expect(throws: SQLiteError.self) { try await client(sql) }
    }
    try await client("CREATE TABLE theirs (a)")
  }

  @Test("the same idempotency key merges once, and another request under it is refused")
  func once() async throws {
    let world = try await MergeWorld()
    defer { world.close() }
    try await world.sql("CREATE TABLE calls (id INTEGER PRIMARY KEY)", "INSERT INTO calls VALUES (1), (2)")
    let snapshot = try await world.snapshot()
    try await world.sql("DELETE FROM calls")
    var first = try world.request(snapshot, "table:calls")
    first.idempotency = ("merge k", [1])
    let report = try await world.run(first)
    try await world.sql("DELETE FROM calls WHERE id = 1")
    var again = try world.request(snapshot, "table:calls")
    again.idempotency = ("merge k", [1])
    let second = try await world.run(again)
    #expect(second.isReplayed && second.merge == report.merge && second.inserted == 2)
    #expect(try await world.rows("SELECT id FROM calls") == [[.integer(2)]])
    again.idempotency = ("merge k", [2])
    await #expect(throws: StoreError.self) { try await world.run(again) }
  }

  @Test("what undoes a merge is forgotten behind its window, by the next merge")
  func expiry() async throws {
    let world = try await MergeWorld()
    defer { world.close() }
    try await world.sql("CREATE TABLE calls (id INTEGER PRIMARY KEY)", "INSERT INTO calls VALUES (1), (2)")
    let snapshot = try await world.snapshot()
    try await world.sql("DELETE FROM calls")
    let first = try await world.run(world.request(snapshot, "row:calls/1"))
    var next = try world.request(snapshot, "row:calls/2")
    next.keep = .seconds(0)
    let second = try await world.run(next)
    #expect(try await world.rows("SELECT count(*) FROM komora_merges") == [[.integer(1)]])
    await expectError(.notFound) { try await world.undo(first) }
    #expect(try await world.undo(second).removed == 1)
  }

  @Test("a merge that is too large for a transaction says so and changes nothing; in parts it works")
  func tooLarge() async throws {
    let world = try await MergeWorld { $0.transactionPagesMax = 120 }
    defer { world.close() }
    try await world.sql("CREATE TABLE calls (id INTEGER PRIMARY KEY, body BLOB)")
    for i in 0..<10 {
      try await world.sql(
        """
        INSERT INTO calls WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
        SELECT \(i * 20) + i, randomblob(3000) FROM n
        """)
    }
    let snapshot = try await world.snapshot()
    for i in 0..<10 { try await world.sql("DELETE FROM calls WHERE id BETWEEN \(i * 20 + 1) AND \(i * 20 + 20)") }
    await expectError(.refused) { try await world.run(world.request(snapshot, "table:calls")) }
    #expect(try await world.rows("SELECT count(*) FROM calls") == [[.integer(0)]])
    for i in 0..<5 {
      let part = "row:calls/\(i * 40 + 1)..\(i * 40 + 40)"
      #expect(try await world.run(world.request(snapshot, part)).inserted == 40)
    }
    #expect(try await world.rows("SELECT count(*) FROM calls") == [[.integer(200)]])
  }
}
