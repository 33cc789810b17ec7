// Reads a foreign database file, whole and in order, inside the limits of a process of its own.

import Base
import Formats
import Foundation
import Glibc
import SQLite

struct DatabaseReader {
  let path: String
  let skipped: Set<String>
  let output: FileHandle

  func run() {
    do {
      try stream()
    } catch let refusal as ForeignSchema.Refusal {
      send(.failure(refused: true, refusal.message))
    } catch let error as SQLiteError {
      let damaged = error.code == .corrupt || error.code == .notADatabase
      send(
        .failure(
          refused: damaged, damaged ? "the file is not a sound SQLite database: \(error.message)" : error.message))
    } catch {
      send(.failure(refused: false, "\(error)"))
    }
  }

  private func stream() throws {
    let connection = try Connection(path: path, .readOnly)
    try connection.execute("PRAGMA cell_size_check=on")
    try connection.execute("PRAGMA trusted_schema=off")
    try connection.execute("PRAGMA mmap_size=0")
    try connection.execute("PRAGMA temp_store=memory")
    // One transaction: what another process writes meanwhile is not seen.
    try connection.execute("BEGIN")
    let check = try connection.query("PRAGMA quick_check(10)").compactMap { $0[0].text }
    guard check == ["ok"] else {
      throw ForeignSchema.Refusal(
        message: "the database is damaged (\(check.first ?? "no answer")): repair it with sqlite3's .recover first")
    }
    let plan = try ForeignSchema(connection, skipping: skipped).plan()
    send(.plan(Array(try JSONEncoder().encode(plan))))
    for number in plan.tables.indices { try rows(of: number, plan.tables[number], connection) }
    send(.end)
  }

  /// Sends the rows in batches. Where one ends depends on nothing but the file, so every run cuts them alike.
  private func rows(of number: Int, _ table: DatabasePlan.Table, _ connection: Connection) throws {
    let columns = table.columns.map { name in
      name == "rowid" || name == "_rowid_" || name == "oid" ? name : ForeignSchema.quote(name)
    }
    let source = "SELECT \(columns.joined(separator: ", ")) FROM \(ForeignSchema.quote(table.name)) NOT INDEXED"
    let (statement, _) = try connection.prepare(source)
    guard let statement else { return }
    defer { statement.finalize() }
    let rowsMax = table.isCyclic ? Self.cyclicRowsMax(columns.count) : Self.batchRowsMax
    var (values, count, row) = (RowBatchValues(capacity: Self.batchBytesMax + 4096), 0, 0)
    func flush(_ bytes: Int, _ rows: Int) {
      send(.rows(table: number, count: rows, values: values.removeFirst(bytes)[...]))
    }
    while try statement.step() {
      row += 1
      let start = values.bytes.count
      for column in columns.indices { try put(column, of: statement, &values, table, row) }
      if count > 0, values.bytes.count > Self.batchBytesMax || count == rowsMax {
        flush(start, count)
        count = 0
      }
      count += 1
    }
    if count > 0 { flush(values.bytes.count, count) }
  }

  /// What one turn of the account's writer takes, and one page of its log; a longer row goes alone.
  private static let batchBytesMax = 1 << 20
  private static let batchRowsMax = 16_384
  /// Rows of a table on a cycle become one statement with a parameter for each value.
  private static func cyclicRowsMax(_ columns: Int) -> Int { max(1, min(500, 16_000 / max(columns, 1))) }

  private func put(
    _ column: Int, of statement: Statement, _ values: inout RowBatchValues, _ table: DatabasePlan.Table, _ row: Int
  ) throws {
    switch statement.columnKind(column) {
    case .null: values.putNull()
    case .integer: values.put(statement.columnInteger(column))
    case .real: values.put(statement.columnReal(column))
    case .blob: statement.withBlob(column) { values.put(blob: $0) }
    case .text:
      // As it is stored, so that what is not UTF-8 is seen instead of repaired.
      let isText = statement.withText(column) { text in
        guard text.withUnsafeBytes({ bytes in String(validating: bytes, as: UTF8.self) != nil }) else { return false }
        values.put(text: text)
        return true
      }
      guard isText else {
        throw ForeignSchema.Refusal(
          message:
            "row \(row) of \(table.name) has text that is not UTF-8: convert it, or leave the table out with --skip")
      }
    }
  }

  private func send(_ frame: DatabaseFrame) { write(frame.encoded()) }

  private func write(_ bytes: [UInt8]) {
    guard !bytes.isEmpty else { return }
    do {
      try output.write(contentsOf: Data(bytes))
    } catch {
      // The importer has gone: nobody is left to tell.
      exit(1)
    }
  }
}
