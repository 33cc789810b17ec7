// Random changes to tables of every kind, compared as the product does it and as a model does that holds all rows.

import Backup
import Base
import Formats
import OpenSSL
import SQLite
import Testing

@Suite struct DiffModelTests {
  private static let tables = [
    "r (k, v)", "i (k INTEGER PRIMARY KEY, v)", "t (k TEXT PRIMARY KEY, v)", "n (k COLLATE NOCASE PRIMARY KEY, v)",
    "w (k PRIMARY KEY, v) WITHOUT ROWID", "d (k TEXT COLLATE NOCASE, v, PRIMARY KEY (k DESC)) WITHOUT ROWID",
  ]

  private struct Row: Equatable {
    var key: [String]
    var values: [Value]
  }

  @Test("counts and names are those of a model that holds all rows", arguments: 0..<40)
  func model(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let pages = MemoryPages()
    try pages.use { connection in
      for table in Self.tables { try connection.execute("CREATE TABLE \(table)") }
      try Self.change(connection, count: 120, &random)
    }
    let (before, oldPages) = (Self.state(pages.pages), pages.pages)
    let old = try Self.rows(pages)
    try pages.use { try Self.change($0, count: Int(random.next() % 60), &random) }
    let new = try Self.rows(pages)
    let compared = DiffPages(old: before, new: Self.state(pages.pages)) { _ in }
    let (first, second) = compared.hosts
    var report = DiffReport(from: before.side, to: before.side)
    try first.query { a in
      try second.query { b in
        var tables = DiffTables(old: a, new: b, listed: 1000, cancellation: CancelFlag())
        try tables.fill(&report)
      }
    }
    var expected: [String] = []
    for name in old.keys {
      let (a, b) = (old[name] ?? [:], new[name] ?? [:])
      for (key, row) in a where b[key] == nil { expected.append("\(name) removed \(row.key)") }
      for (key, row) in b {
        if let was = a[key] {
          if was != row { expected.append("\(name) changed \(row.key)") }
        } else {
          expected.append("\(name) added \(row.key)")
        }
      }
    }
    let told = report.listedRows.map { "\($0.table) \($0.change) \($0.key)" }
    #expect(told.sorted() == expected.sorted() && !report.isCut)
    #expect(report.rows.added + report.rows.removed + report.rows.changed == Int64(expected.count))
    #expect(compared.areEqual == (pages.pages == oldPages))
  }

  /// Inserts, replacements, updates of keys and values, deletions; what breaks a key is skipped.
  private static func change(_ connection: Connection, count: Int, _ random: inout SeededGenerator) throws {
    func value(_ range: UInt64) -> Value {
      let number = Int64(random.next() % range)
      switch random.next() % 6 {
      case 0: return .null
      case 1: return .integer(number)
      case 2: return .real(Double(number) / 2)
      case 3: return .blob([UInt8(truncatingIfNeeded: number)])
      default: return .text(random.next() % 2 == 0 ? "key \(number)" : "KEY \(number)")
      }
    }
    for _ in 0..<count {
      let table = ["r", "i", "t", "n", "w", "d"][Int(random.next() % 6)]
      let key = table == "i" ? Value.integer(Int64(random.next() % 40)) : value(25)
      let new = table == "i" ? Value.integer(Int64(random.next() % 40)) : value(25)
      switch random.next() % 5 {
      case 0, 1: try? connection.execute("INSERT OR REPLACE INTO \(table) VALUES (?, ?)", key, value(9))
      case 2: try? connection.execute("UPDATE \(table) SET v = ? WHERE k IS ?", value(9), key)
      case 3: try? connection.execute("UPDATE OR IGNORE \(table) SET k = ? WHERE k IS ?", new, key)
      default: try? connection.execute("DELETE FROM \(table) WHERE k IS ?", key)
      }
    }
  }

  /// By table, then by what tells a row apart.
  private static func rows(_ pages: MemoryPages) throws -> [String: [String: Row]] {
    var found: [String: [String: Row]] = [:]
    try pages.use { connection in
      for name in ["r", "i", "t", "n", "w", "d"] {
        let rowID = "wd".contains(name) ? "0" : "rowid"
        var rows: [String: Row] = [:]
        for row in try connection.query("SELECT \(rowID), k, v FROM \(name)") {
          let isRow = "ri".contains(name) || (row[1].isNull && rowID != "0")
          let folded = "nd".contains(name) ? row[1].text.map { Value.text(SQLText.folded($0)) } ?? row[1] : row[1]
          rows[isRow ? "row \(row[0])" : "key \(Self.numeric(folded))"] = Row(
            key: [SQLText.literal("ri".contains(name) ? row[0] : row[1])], values: [row[1], row[2]])
        }
        found[name] = rows
      }
    }
    return found
  }

  /// 1 and 1.0 are one key.
  private static func numeric(_ value: Value) -> Value {
    if case .integer(let number) = value { return .real(Double(number)) }
    return value
  }

  private static func state(_ pages: [[UInt8]]) -> DiffState {
    let size = Limits.snapshotGroupPages
    let groups = stride(from: 0, to: pages.count, by: size).map {
      Array(pages[$0..<min($0 + size, pages.count)].joined())
    }
    let side = DiffReport.Side(name: "pages", position: .start, createdAt: nil)
    return DiffState(side, pageCount: pages.count, groups: groups.map { ChunkName(bytes: SHA256.hash($0)) }) {
      groups[$0]
    }
  }
}
