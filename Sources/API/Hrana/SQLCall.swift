// One statement with its values, ready to run, and where it may run.
//
// Its first word is a hint that saves a hop to the wrong thread; what it really touches is known only when it has been
// prepared, and `SQLRunner` then moves it to where it belongs.

package import SQLite

package struct SQLCall: Sendable {
  package var sql: String
  package var arguments: [Value]
  package var named: [(name: String, value: Value)]
  package var wantsRows: Bool

  package init(
    sql: String, arguments: [Value] = [], named: [(name: String, value: Value)] = [], wantsRows: Bool = true
  ) {
    self.sql = sql
    self.arguments = arguments
    self.named = named
    self.wantsRows = wantsRows
  }

  /// Where a statement runs, from the lightest to the heaviest.
  package enum Place: Int, Sendable, Comparable {
    /// On a pinned read, which waits for nobody.
    case reader
    /// In the writer's batch, together with other clients' writes.
    case writer
    /// On a connection of the stream's own: transactions, temporary objects, pragmas.
    case session
    /// The same with the account's writer, which the session then has until its transaction ends.
    case sessionWriter

    package static func < (a: Place, b: Place) -> Bool { a.rawValue < b.rawValue }
  }

  package var likelyPlace: Place {
    switch firstWord {
    case "SELECT", "VALUES", "EXPLAIN", "PRAGMA", "WITH", "": .reader
    case "BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE": .session
    default: .writer
    }
  }

  package var opensTransaction: Bool { firstWord == "BEGIN" }
  package var commits: Bool { firstWord == "COMMIT" || firstWord == "END" }
  /// ROLLBACK of everything, not to a savepoint.
  package var rollsBack: Bool { firstWord == "ROLLBACK" && !SQLWords.first(4, of: sql).contains("TO") }

  var firstWord: String { SQLWords.first(1, of: sql).first ?? "" }

  /// The pragmas that clients send to every new connection and that ask for what holds anyway.
  package var asksForDefault: Bool {
    guard firstWord == "PRAGMA" else { return false }
    switch SQLWords.first(4, of: sql).dropFirst().joined(separator: " ") {
    case "FOREIGN_KEYS = ON", "FOREIGN_KEYS = 1", "FOREIGN_KEYS = TRUE", "FOREIGN_KEYS = YES": return true
    case "READ_UNCOMMITTED = 0", "READ_UNCOMMITTED = OFF", "READ_UNCOMMITTED = FALSE": return true
    case "DEFER_FOREIGN_KEYS = 0", "DEFER_FOREIGN_KEYS = OFF", "DEFER_FOREIGN_KEYS = FALSE": return true
    default: return false
    }
  }
}
