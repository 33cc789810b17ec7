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
}
