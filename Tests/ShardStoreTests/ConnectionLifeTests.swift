// Thousands of lives in one process showed it: a connection that had run a statement was never freed, because the
// statements in its cache kept it.

import SQLite
import Testing

@Suite struct ConnectionLifeTests {
  @Test("a connection goes when its owner lets it go, cached statements and all")
  func isFreed() throws {
    weak var seen: Connection?
    do {
      let connection = try Connection(path: ":memory:", .create)
      try connection.execute("CREATE TABLE t (a)")
      try connection.execute("INSERT INTO t VALUES (?)", .integer(1))
      #expect(try connection.query("SELECT a FROM t") == [[.integer(1)]])
      seen = connection
    }
    #expect(seen == nil)
  }

  @Test("a client's statement is kept apart from the system's, once, and only when it may come again")
  func isKept() throws {
    let connection = try Connection(path: ":memory:", .create)
    try connection.execute("CREATE TABLE t (a)")
    let insert = "INSERT INTO t VALUES (?)"
    try connection.execute(insert, .integer(1))
    #expect(connection.clientStatement(insert) == nil)
    func run(_ sql: String, _ values: [Value]) throws {
      let statement = try connection.clientStatement(sql) ?? connection.prepare(sql).statement!
      for (i, value) in values.enumerated() { try statement.bind(value, at: i + 1) }
      while try statement.step() {}
      connection.keepForClients(statement, sql)
      connection.recycle(statement)
    }
    try run(insert, [.integer(2)])
    // Its table has become another one meanwhile.
    try connection.execute("ALTER TABLE t ADD COLUMN b DEFAULT 7")
    #expect(throws: SQLiteError.self) { try run(insert, [.integer(3)]) }
    let narrow = "INSERT INTO t(a) VALUES (?)"
    for i in 4..<7 { try run(narrow, [.integer(Int64(i))]) }
    #expect(try connection.query("SELECT a FROM t").count == 5)
    let kept = connection.clientStatement(narrow)
    #expect(kept != nil && connection.clientStatement(narrow) == nil)
    for other in ["SELECT ?", "INSERT INTO t(a) VALUES (1)", "INSERT INTO t(a) VALUES (?) RETURNING a"] {
      try run(other, other.contains("?") ? [.integer(9)] : [])
      #expect(connection.clientStatement(other) == nil)
    }
  }
}
