// A selection as the WHERE of a statement over one table. Names are those that the table has, quoted; every value is
// bound.
//
// Equality is what SQLite's affinities make of it: a number that was written matches the number and, in a column without
// affinity, its text. An order holds among values of one kind only: numbers with numbers, texts with texts.

import Base
package import SQLite

struct RowSelectionSQL {
  private(set) var values: [Value] = []
  private let table: DiffTable

  private init(_ table: DiffTable) { self.table = table }

  /// The condition for the rows of `table` that `selection` chooses, and its parameters from 1 on. `.refused` for columns
  /// that the table does not have and keys of another shape.
  static func rows(of table: DiffTable, in selection: RowSelection) throws(BackupError) -> (text: String, [Value]) {
    var sql = RowSelectionSQL(table)
    var terms: [String] = []
    let name = SQLText.folded(table.name)
    for pattern in selection.patterns {
      switch pattern {
      case .rows(let wanted, let conditions) where SQLText.folded(wanted) == name:
        var all: [String] = []
        for condition in conditions { all.append(try sql.condition(condition)) }
        terms.append(all.isEmpty ? "1" : join(all, "AND"))
      case .keys(let wanted, let keys) where SQLText.folded(wanted) == name:
        for key in keys { terms.append(try sql.key(key)) }
      default: break
      }
    }
    return (join(terms, "OR"), sql.values)
  }

  /// The same for rows of `komora_recordings`.
  static func recordings(_ table: DiffTable, in selection: RowSelection) throws(BackupError) -> (text: String, [Value])
  {
    var sql = RowSelectionSQL(table)
    var terms: [String] = []
    for pattern in selection.patterns {
      switch pattern {
      case .recordings(let glob): terms.append(try sql.glob("\"key\"", glob))
      case .period(let from, let to):
        terms.append("created_us >= \(sql.bind(.integer(from))) AND created_us < \(sql.bind(.integer(to)))")
      case .rows, .keys: break
      }
    }
    return (join(terms, "OR"), sql.values)
  }

  /// Balanced, so that no number of terms makes an expression too deep.
  private static func join(_ terms: [String], _ word: String) -> String {
    guard terms.count > 1 else { return terms.first.map { "(\($0))" } ?? "0" }
    let half = terms.count / 2
    return "(\(join(Array(terms[..<half]), word)) \(word) \(join(Array(terms[half...]), word)))"
  }

  private mutating func bind(_ value: Value) -> String {
    values.append(value)
    return "?\(values.count)"
  }

  // MARK: keys

  private struct KeyColumn {
    var sql: String
    var isRowID = false
  }

  private func keyColumns() throws(BackupError) -> [KeyColumn] {
    switch table.key {
    case .rowID, .alias:
      guard let rowID = table.rowID else {
        throw RowSelection.refusal(
          "the rows of a table whose columns take all names of the rowid have no key: use table:")
      }
      return [KeyColumn(sql: SQLText.quoted(rowID), isRowID: true)]
    case .unique(let key), .clustered(let key):
      return key.map { KeyColumn(sql: "\(SQLText.quoted($0.name)) COLLATE \(SQLText.quoted($0.collation))") }
    }
  }

  private mutating func key(_ key: RowSelection.Key) throws(BackupError) -> String {
    let columns = try keyColumns()
    switch key {
    case .parts(let parts):
      guard parts.count == columns.count else {
        throw RowSelection.refusal(
          "the key of \(table.name) has \(columns.count) columns, and the pattern gives \(parts.count) values (write a slash "
            + "in a value as %2F)")
      }
      var terms: [String] = []
      for (column, part) in zip(columns, parts) {
        switch part {
        case .glob(let glob): terms.append(try self.glob(column.sql, glob))
        case .value(let value):
          if column.isRowID, value.integer == nil {
            throw RowSelection.refusal("the rows of \(table.name) are known by integers: row:\(table.name)/17")
          }
          terms.append(equal(column.sql, value))
        }
      }
      return Self.join(terms, "AND")
    case .range(let from, let to):
      guard columns.count == 1 else {
        throw RowSelection.refusal("the key of \(table.name) has \(columns.count) columns: a range wants one")
      }
      let column = columns[0]
      var terms: [String] = []
      if let from { terms.append(ordered(column.sql, ">=", from)) }
      if let to { terms.append(ordered(column.sql, "<=", to)) }
      return Self.join(terms, "AND")
    }
  }

  // MARK: conditions

  private mutating func condition(_ condition: RowSelection.Condition) throws(BackupError) -> String {
    let wanted = SQLText.folded(condition.column)
    var name = table.columns.first { SQLText.folded($0) == wanted }
    if name == nil, wanted == table.rowID { name = table.rowID }
    guard let name else {
      throw RowSelection.refusal("the table \(table.name) had no column \(condition.column)")
    }
    let column = SQLText.quoted(name)
    switch condition.value {
    case .glob(let glob): return try self.glob(column, glob)
    case .value(let value):
      switch condition.comparison {
      case .equal: return equal(column, value)
      case .notEqual: return "\(column) IS NOT NULL AND NOT \(equal(column, value))"
      case .less, .atMost, .more, .atLeast, .like: return ordered(column, condition.comparison.rawValue, value)
      }
    }
  }

  private mutating func equal(_ column: String, _ value: RowSelection.Literal) -> String {
    if let blob = value.blob { return "(\(column) = \(bind(.blob(blob))))" }
    let text = "\(column) = \(bind(.text(value.text ?? "")))"
    guard let number = value.number else { return "(\(text))" }
    return "(\(text) OR \(column) = \(bind(number.value)))"
  }

  private mutating func ordered(_ column: String, _ sign: String, _ value: RowSelection.Literal) -> String {
    if let blob = value.blob { return "(typeof(\(column)) = 'blob' AND \(column) \(sign) \(bind(.blob(blob))))" }
    let text = "(typeof(\(column)) = 'text' AND \(column) \(sign) \(bind(.text(value.text ?? ""))))"
    guard let number = value.number else { return text }
    let numeric = "typeof(\(column)) IN ('integer', 'real') AND \(column) \(sign) \(bind(number.value))"
    return "(\(text) OR (\(numeric)))"
  }

  private mutating func glob(_ column: String, _ glob: RowSelection.Glob) throws(BackupError) -> String {
    "(typeof(\(column)) != 'blob' AND \(column) GLOB \(bind(.text(glob.sqlite))))"
  }
}

extension RowSelection.Number {
  var value: Value {
    switch self {
    case .integer(let value): .integer(value)
    case .real(let value): .real(value)
    }
  }
}

extension RowSelection.Literal {
  var integer: Int64? { if case .integer(let value) = number { value } else { nil } }
}

extension RowSelection.Glob {
  /// As SQLite's GLOB has it, where [ begins a set.
  var sqlite: String {
    tokens.map { token in
      switch token {
      case .any: "*"
      case .one: "?"
      case .literal(let text):
        text.replacing("[", with: "[[]").replacing("*", with: "[*]").replacing("?", with: "[?]")
      }
    }.joined()
  }
}

/// For tests: how many rows of the tables that a selection names it chooses.
package enum RowSelectionCheck {
  package static func count(_ selection: RowSelection, in connection: Connection) throws -> Int64 {
    var count: Int64 = 0
    for name in selection.tables {
      guard let table = try DiffTable.named(name, in: connection) else { continue }
      let (text, values) = try RowSelectionSQL.rows(of: table, in: selection)
      let statement = try MergeTable.statement(
        connection, "SELECT count(*) FROM main.\(SQLText.quoted(table.name)) WHERE \(text)")
      defer { statement.finalize() }
      for (i, value) in values.enumerated() { try statement.bind(value, at: i + 1) }
      while try statement.step() { count += statement.columnInteger(0) }
    }
    return count
  }
}
