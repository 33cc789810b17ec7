// The tables that a merge works on: found by name as SQLite finds them, made again where they are gone.

import Base
import OpenSSL
import SQLite

struct MergeSchema {
  let old: Connection
  let live: Connection

  /// The old table of that name. `.refused` when there was none whose rows can come back.
  func then(_ name: String) throws -> DiffTable {
    guard let found = try Self.find(name, in: old) else {
      throw RowSelection.refusal("the old state has no table \(name): `komora diff` shows which tables differ")
    }
    guard found.type == "table", let table = try DiffTable.named(found.name, in: old) else {
      throw RowSelection.refusal("\(found.name) was a \(found.type) then: only rows of ordinary tables come back")
    }
    return table
  }

  /// The live table of that name; nil when it is gone.
  func now(_ name: String) throws -> DiffTable? {
    guard let found = try Self.find(name, in: live) else { return nil }
    guard found.type == "table", let table = try DiffTable.named(found.name, in: live) else {
      throw RowSelection.refusal(
        "\(found.name) is a \(found.type) now, and was a table: restore the old one under another name and copy with SQL"
      )
    }
    return table
  }

  private static func find(_ name: String, in connection: Connection) throws -> (name: String, type: String)? {
    let folded = SQLText.folded(name)
    guard !folded.hasPrefix("komora_"), !folded.hasPrefix("sqlite_") else {
      throw RowSelection.refusal("\(name) belongs to the system: recordings are chosen with recording:")
    }
    let rows = try connection.query(
      "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND name = ? COLLATE NOCASE", .text(name))
    return rows.first.flatMap { row in row[0].text.map { ($0, row[1].text ?? "") } }
  }

  /// Makes a table that is gone as it was then, with its indexes; without triggers. What is declared runs under the rules
  /// for clients' SQL.
  func make(_ table: DiffTable) throws -> (hash: [UInt8], left: [String]) {
    let declared = try old.query(
      "SELECT type, name, sql FROM main.sqlite_schema WHERE tbl_name = ? AND sql IS NOT NULL AND type IN ('table', 'index')",
      .text(table.name))
    guard let sql = declared.first(where: { $0[0] == .text("table") })?[2].text else {
      throw RowSelection.refusal("the table \(table.name) cannot be made again: nothing declares it")
    }
    try run(sql)
    var left: [String] = []
    for index in declared where index[0] == .text("index") {
      guard let name = index[1].text, let sql = index[2].text else { continue }
      let isTaken = try !live.query(
        "SELECT 1 FROM main.sqlite_schema WHERE name = ? COLLATE NOCASE", .text(name)
      ).isEmpty
      if isTaken { left.append(name) } else { try run(sql) }
    }
    guard let hash = try Self.hash(of: table.name, in: live) else {
      throw RowSelection.refusal("the table \(table.name) cannot be made again as it was declared")
    }
    return (hash, left)
  }

  private func run(_ sql: String) throws {
    do {
      try live.asClient(deadline: nil) {
        let (statement, _) = try live.prepare(sql)
        defer { statement?.finalize() }
        try statement?.stepOnce()
      }
    } catch let error as SQLiteError where error.code == .error || error.code == .notAuthorized {
      throw RowSelection.refusal("a table that is gone cannot be made again as it was declared: \(error.message)")
    }
  }

  /// Of the declaration of the table and its indexes; nil when there is none.
  static func hash(of table: String, in connection: Connection) throws -> [UInt8]? {
    let rows = try connection.query(
      """
      SELECT type, name, sql FROM main.sqlite_schema WHERE tbl_name = ? AND type IN ('table', 'index')
      AND sql IS NOT NULL ORDER BY type, name
      """, .text(table))
    guard !rows.isEmpty else { return nil }
    return SHA256.hash(rows.flatMap { row in row.flatMap { Array(($0.text ?? "").utf8) + [0] } })
  }

  static func triggers(on table: String, in connection: Connection) throws -> [String] {
    try connection.query(
      "SELECT name FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE ORDER BY name LIMIT 100",
      .text(table)
    ).compactMap { $0[0].text }
  }
}
