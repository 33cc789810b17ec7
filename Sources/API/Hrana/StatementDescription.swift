// What Hrana's `describe` tells about a statement without running it.

import SQLite

struct StatementDescription: Sendable {
  var parameters: [String?]
  var columns: [StatementResult.Column]
  var isExplain: Bool
  var isReadOnly: Bool

  init(_ statement: Statement) {
    parameters = (0..<statement.parameterCount).map { statement.parameterName($0 + 1) }
    columns = SQLRunner.columns(of: statement)
    isExplain = statement.isExplain
    isReadOnly = statement.isReadOnly
  }
}

extension JSONText {
  mutating func description(_ description: StatementDescription) {
    raw(#"{"params":["#)
    for (i, name) in description.parameters.enumerated() {
      if i > 0 { raw(",") }
      raw(#"{"name":"#)
      string(name)
      raw("}")
    }
    raw(#"],"cols":"#)
    columns(description.columns)
    raw(#","is_explain":"#)
    bool(description.isExplain)
    raw(#","is_readonly":"#)
    bool(description.isReadOnly)
    raw("}")
  }
}
