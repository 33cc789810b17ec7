// How a row is written down: straight from a statement's columns into the bytes that leave.

import Base
import Formats
import SQLite

enum RowForm: Sendable {
  /// A JSON array of Hrana's values.
  case json
  /// Values of account requests, one after the other.
  case account

  func row(of statement: Statement) -> [UInt8] {
    switch self {
    case .json:
      var json = JSONText(capacity: 64)
      json.raw("[")
      for i in 0..<statement.columnCount {
        if i > 0 { json.raw(",") }
        json.value(statement.column(i))
      }
      json.raw("]")
      return json.bytes
    case .account:
      var writer = ByteWriter(capacity: 64)
      for i in 0..<statement.columnCount { AccountValue(statement.column(i)).encode(to: &writer) }
      return writer.bytes
    }
  }
}

extension AccountValue {
  init(_ value: Value) {
    self =
      switch value {
      case .null: .null
      case .integer(let number): .integer(number)
      case .real(let number): .real(number)
      case .text(let text): .text(text)
      case .blob(let bytes): .blob(bytes)
      }
  }

  var sqlite: Value {
    switch self {
    case .null: .null
    case .integer(let number): .integer(number)
    case .real(let number): .real(number)
    case .text(let text): .text(text)
    case .blob(let bytes): .blob(bytes)
    }
  }
}

extension AccountResult {
  /// Of a result whose rows are in the form of account requests.
  init(_ result: StatementResult) {
    self.init(
      columns: result.columns.map(\.name), rowCount: UInt32(result.rows.count), rowBytes: Array(result.rows.joined()),
      affectedRows: result.affectedRows, lastInsertRowID: result.lastInsertRowID)
  }
}
