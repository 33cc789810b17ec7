// What one statement gave. Rows are kept in the form in which they will be sent: rows of values would take several times
// as much.

package struct StatementResult: Sendable {
  package struct Column: Sendable, Equatable {
    package var name: String
    package var declaredType: String?
  }

  package var columns: [Column] = []
  /// One a row, in the runner's form.
  package var rows: [[UInt8]] = []
  package var affectedRows: Int64 = 0
  package var lastInsertRowID: Int64?

  package init() {}

  init(columns: [Column]) { self.columns = columns }
}

package enum StepOutcome: Sendable {
  case result(StatementResult), error(HranaError), skipped

  package var isResult: Bool { if case .result = self { true } else { false } }
  package var isError: Bool { if case .error = self { true } else { false } }
  /// Of its rows.
  package var bytes: Int { if case .result(let result) = self { result.rows.reduce(0) { $0 + $1.count } } else { 0 } }
}

extension JSONText {
  package mutating func columns(_ columns: [StatementResult.Column]) {
    raw("[")
    for (i, column) in columns.enumerated() {
      if i > 0 { raw(",") }
      raw(#"{"name":"#)
      string(column.name)
      raw(#","decltype":"#)
      string(column.declaredType)
      raw("}")
    }
    raw("]")
  }

  package mutating func result(_ result: StatementResult) {
    raw(#"{"cols":"#)
    columns(result.columns)
    raw(#","rows":["#)
    for (i, row) in result.rows.enumerated() {
      if i > 0 { raw(",") }
      raw(row)
    }
    raw(#"],"affected_row_count":"#)
    number(result.affectedRows)
    raw(#","last_insert_rowid":"#)
    string(result.lastInsertRowID.map { String($0) })
    raw("}")
  }

  package mutating func batchResult(_ outcomes: [StepOutcome]) {
    raw(#"{"step_results":["#)
    for (i, outcome) in outcomes.enumerated() {
      if i > 0 { raw(",") }
      if case .result(let value) = outcome { result(value) } else { raw("null") }
    }
    raw(#"],"step_errors":["#)
    for (i, outcome) in outcomes.enumerated() {
      if i > 0 { raw(",") }
      if case .error(let value) = outcome { error(value) } else { raw("null") }
    }
    raw("]}")
  }
}
