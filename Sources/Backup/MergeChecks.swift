// The rules that hold while a merge or its undo changes rows, on the account's writer: no trigger fires, foreign keys are
// asked at the end, and a statement that changes more than its own row is a conflict.
//
// Triggers have seen these rows once already, when they first came or went; a second time would count a call twice.

import Base
import SQLite

struct MergeChecks {
  let connection: Connection

  /// Runs `body` under those rules; `.refused` is thrown through, and what was done is the caller's to roll back.
  func run<R>(_ body: () throws -> R) throws -> R {
    try connection.withoutTriggers {
      try connection.execute("PRAGMA defer_foreign_keys=ON")
      // Others may share the transaction: for them every key is asked at once, as ever.
      defer { try? connection.execute("PRAGMA defer_foreign_keys=OFF") }
      return try body()
    }
  }

  enum Outcome: Equatable {
    case done
    /// A rule of the schema forbids it; with `mayWait` another row stands in the way, which may go yet.
    case violated(String, mayWait: Bool)
  }

  /// One statement that changes one row; nothing of it is left unless it is done.
  func change(_ body: () throws -> Void) throws -> Outcome {
    try connection.execute("SAVEPOINT komora_row")
    let before = connection.totalChanges
    do {
      try body()
    } catch let error as SQLiteError where error.code == .constraint || error.code == .mismatch || error.code == .tooBig
    {
      try takeBack()
      let mayWait = ["UNIQUE", "PRIMARYKEY", "ROWID", "FOREIGNKEY"].contains { error.name.hasSuffix($0) }
      return .violated(error.message, mayWait: mayWait)
    }
    let count = connection.totalChanges - before
    guard count == 1 else {
      try takeBack()
      return .violated("it would change \(count - 1) rows of other tables by their foreign keys", mayWait: true)
    }
    try connection.execute("RELEASE komora_row")
    return .done
  }

  private func takeBack() throws {
    try connection.execute("ROLLBACK TO komora_row")
    try connection.execute("RELEASE komora_row")
  }

  /// Rows whose foreign keys lead nowhere, among the tables that were touched and those that refer to them.
  func danglingRows(near tables: [String], limit: Int = 100) throws -> [MergeReport.Conflict] {
    guard connection.hasDeferredViolations else { return [] }
    let folded = Set(tables.map(SQLText.folded))
    let references = try connection.query(
      """
      SELECT DISTINCT t.name, f."table" FROM pragma_table_list AS t, pragma_foreign_key_list(t.name) AS f
      WHERE t.schema = 'main' AND t.type = 'table'
      """)
    var checked: Set<String> = []
    var found: [MergeReport.Conflict] = []
    for row in references {
      guard let child = row[0].text, let parent = row[1].text,
        folded.contains(SQLText.folded(child)) || folded.contains(SQLText.folded(parent)),
        checked.insert(child).inserted
      else { continue }
      let check = try MergeTable.statement(
        connection, "SELECT \"table\", rowid, parent FROM pragma_foreign_key_check(?)")
      defer { check.finalize() }
      try check.bind(.text(child), at: 1)
      while found.count < limit, try check.step() {
        found.append(
          MergeReport.Conflict(
            table: child, key: [MergeReport.shown(check.field(1))], differences: [],
            reason: "FOREIGN KEY constraint failed: no row of \(check.column(2).text ?? "its parent") that it refers to"
          ))
      }
    }
    if found.isEmpty {
      found.append(
        MergeReport.Conflict(table: tables.first, key: [], differences: [], reason: "FOREIGN KEY constraint failed"))
    }
    return found
  }
}
