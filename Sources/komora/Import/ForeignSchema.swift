// Reads the schema of a foreign database and decides how it is brought in, or why not.

import SQLite

struct ForeignSchema {
  struct Refusal: Error {
    var message: String
  }

  private let connection: Connection
  private let skipped: Set<String>

  init(_ connection: Connection, skipping skipped: Set<String>) {
    self.connection = connection
    self.skipped = skipped
  }

  func plan() throws -> DatabasePlan {
    var notes: [String] = []
    let encoding = try connection.query("PRAGMA encoding").first?[0].text ?? "UTF-8"
    if encoding != "UTF-8" { notes.append("text is converted from \(encoding) to UTF-8") }
    let kinds = try tableKinds()
    try refuse(kinds)
    var creates: [String: String] = [:]
    var finishes: [(rank: Int, sql: String)] = []
    for row in try connection.query("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid") {
      guard let type = row[0].text, let name = row[1].text, let table = row[2].text, let sql = row[3].text,
        !name.lowercased().hasPrefix("sqlite_"), !isSkipped(name, kinds), !isSkipped(table, kinds)
      else { continue }
      switch type {
      case "table": creates[name] = sql
      case "index": finishes.append((0, sql))
      case "view": finishes.append((1, sql))
      default: finishes.append((2, sql))
      }
    }
    for name in kinds.keys.sorted() where isSkipped(name, kinds) && !name.hasPrefix("sqlite_") {
      notes.append("\(name) is left out")
    }
    let order = try ordered(creates.keys.sorted())
    let tables = try order.map { name in try table(name, isCyclic: order.cyclic.contains(name)) }
    return DatabasePlan(
      creates: order.map { creates[$0] ?? "" }, tables: tables,
      finishes: finishes.sorted { $0.rank < $1.rank }.map(\.sql), sequences: try sequences(), notes: notes)
  }

  /// table, view, virtual or shadow, by name.
  private func tableKinds() throws -> [String: String] {
    let rows = try connection.query("SELECT name, type FROM pragma_table_list WHERE schema = 'main'")
    return Dictionary(rows.compactMap { row in row[0].text.map { ($0, row[1].text ?? "") } }) { $1 }
  }

  private func refuse(_ kinds: [String: String]) throws {
    let names = try connection.query("SELECT name FROM sqlite_schema").compactMap { $0[0].text }
    let reserved = names.filter { $0.lowercased().hasPrefix("komora_") && !skipped.contains($0) }
    guard reserved.isEmpty else {
      throw Refusal(
        message:
          "names with komora_ are reserved: rename \(reserved.joined(separator: ", ")), or leave them out with --skip"
      )
    }
    let virtual = kinds.filter { $0.value == "virtual" && !skipped.contains($0.key) }.keys.sorted()
    guard virtual.isEmpty else {
      throw Refusal(
        message:
          "virtual tables cannot be imported: leave \(virtual.joined(separator: ", ")) out with --skip, make them anew"
      )
    }
  }

  /// What was named, and what belongs to a virtual table that was named.
  private func isSkipped(_ name: String, _ kinds: [String: String]) -> Bool {
    skipped.contains(name) || kinds[name] == "shadow"
  }

  private func table(_ name: String, isCyclic: Bool) throws -> DatabasePlan.Table {
    let rows = try connection.query(
      "SELECT name, type, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid", .text(name))
    // Generated columns (hidden 2 and 3) compute themselves again.
    let columns = rows.filter { ($0[3].integer ?? 0) == 0 }.compactMap { $0[0].text }
    let all = Set(rows.compactMap { $0[0].text?.lowercased() })
    let keys = rows.filter { ($0[2].integer ?? 0) > 0 }
    let hasAlias = keys.count == 1 && keys[0][1].text?.uppercased() == "INTEGER"
    let withoutRowID =
      try connection.query(
        "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", .text(name)
      ).first?[0].integer == 1
    let rowID = withoutRowID || hasAlias ? nil : ["rowid", "_rowid_", "oid"].first { !all.contains($0) }
    let count = try connection.query("SELECT count(*) FROM \(Self.quote(name))").first?[0].integer ?? 0
    return DatabasePlan.Table(
      name: name, columns: (rowID.map { [$0] } ?? []) + columns, rows: count, isCyclic: isCyclic)
  }

  private func sequences() throws -> [String: Int64] {
    guard try !connection.query("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").isEmpty else {
      return [:]
    }
    let rows = try connection.query("SELECT name, seq FROM sqlite_sequence")
    return Dictionary(rows.compactMap { row in row[0].text.flatMap { name in row[1].integer.map { (name, $0) } } }) {
      $1
    }
    .filter { !skipped.contains($0.key) }
  }

  private struct Order: Sequence {
    var names: [String] = []
    var cyclic: Set<String> = []
    func makeIterator() -> IndexingIterator<[String]> { names.makeIterator() }
  }

  /// Referred tables first; those on a cycle as they come.
  private func ordered(_ names: [String]) throws -> Order {
    var parents: [String: Set<String>] = [:]
    let byLower = Dictionary(names.map { ($0.lowercased(), $0) }) { $1 }
    for name in names {
      let rows = try connection.query("SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?)", .text(name))
      parents[name] = Set(rows.compactMap { $0[0].text.flatMap { byLower[$0.lowercased()] } })
    }
    var order = Order()
    var left = names
    while !left.isEmpty {
      let done = Set(order.names)
      let free = left.filter { name in (parents[name] ?? []).subtracting(done).isEmpty }
      guard free.isEmpty else {
        order.names += free
        left.removeAll(where: Set(free).contains)
        continue
      }
      // What is left lies on cycles or behind them.
      order.cyclic.formUnion(left)
      order.names += left
      left = []
    }
    return order
  }

  static func quote(_ name: String) -> String { "\"" + name.replacing("\"", with: "\"\"") + "\"" }
}
