// Reads a foreign database file, whole and in order, inside the limits of a process of its own.

import Base
import Foundation
import Glibc
import SQLite

struct DatabaseReader {
  let path: String
  let skipped: Set<String>
  let output: FileHandle
  private static let pieceBytes = 256 << 10

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
    let isUTF8 = try connection.query("PRAGMA encoding").first?[0].text == "UTF-8"
    var buffer: [UInt8] = []
    for (number, table) in plan.tables.enumerated() {
      try rows(of: table, connection, isUTF8) { values in
        buffer += DatabaseFrame.row(table: number, values: values).encoded()
        if buffer.count >= Self.pieceBytes {
          write(buffer)
          buffer = []
        }
      }
    }
    write(buffer)
    send(.end)
  }

  private func rows(
    of table: DatabasePlan.Table, _ connection: Connection, _ isUTF8: Bool, _ body: ([Value]) throws -> Void
  ) throws {
    // Text comes as bytes, so that what is not UTF-8 is seen instead of repaired.
    let columns = table.columns.map { name in
      let column = name == "rowid" || name == "_rowid_" || name == "oid" ? name : ForeignSchema.quote(name)
      return isUTF8
        ? "typeof(\(column)) = 'text', iif(typeof(\(column)) = 'text', CAST(\(column) AS BLOB), \(column))"
        : "0, \(column)"
    }
    let source = "SELECT \(columns.joined(separator: ", ")) FROM \(ForeignSchema.quote(table.name)) NOT INDEXED"
    let (statement, _) = try connection.prepare(source)
    guard let statement else { return }
    defer { statement.finalize() }
    var number = 0
    while try statement.step() {
      number += 1
      var values: [Value] = []
      values.reserveCapacity(table.columns.count)
      for i in table.columns.indices {
        values.append(
          try value(statement.column(2 * i + 1), isText: statement.column(2 * i) == .integer(1), table, number))
      }
      try body(values)
    }
  }

  private func value(_ value: Value, isText: Bool, _ table: DatabasePlan.Table, _ row: Int) throws -> Value {
    guard isText, let bytes = value.blob else { return value }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw ForeignSchema.Refusal(
        message:
          "row \(row) of \(table.name) has text that is not UTF-8: convert it, or leave the table out with --skip")
    }
    return .text(text)
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
