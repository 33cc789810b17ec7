// The account's own tables as CSV files. The system's tables, SQLite's and those behind virtual tables are left to the
// database file.

import Base
import SQLite

struct ExportTables {
  let connection: Connection
  /// Rows are handed on in pieces of about so many bytes.
  private static let rowsBytes = 64 << 10

  /// In the order of their names.
  func names() throws -> [String] {
    let rows = try connection.query(
      "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' ORDER BY name")
    return rows.compactMap { $0[0].text }.filter { name in
      !name.lowercased().hasPrefix("komora_") && !name.lowercased().hasPrefix("sqlite_")
    }
  }

  static func path(of table: String) -> String { "tables/\(SafePath.file(table)).csv" }

  /// Header line and rows, in the order in which SQLite has them.
  func write(_ table: String, to spool: ExportSpool, _ rowDone: () throws -> Void) throws {
    let name = table.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
    let (statement, _) = try connection.prepare("SELECT * FROM main.\"\(name)\"")
    guard let statement else { throw BackupError(.failed, "a table cannot be read") }
    defer { statement.finalize() }
    for column in 0..<statement.columnCount {
      if column > 0 { try spool.write(CSVText.comma) }
      try CSVText.quoted(statement.columnName(column)) { try spool.write($0) }
    }
    try spool.write(CSVText.end)
    var rows: [UInt8] = []
    while try statement.step() {
      for column in 0..<statement.columnCount {
        if column > 0 { rows.append(contentsOf: CSVText.comma) }
        let value = statement.column(column)
        if CSVText.isShort(value) {
          CSVText.append(value, to: &rows)
        } else {
          // One value at a time: a row may be as long as SQLite allows.
          try spool.write(rows)
          rows.removeAll(keepingCapacity: true)
          try CSVText.field(value) { try spool.write($0) }
        }
      }
      rows.append(contentsOf: CSVText.end)
      if rows.count >= Self.rowsBytes {
        try spool.write(rows)
        rows.removeAll(keepingCapacity: true)
      }
      try rowDone()
    }
    try spool.write(rows)
  }
}
