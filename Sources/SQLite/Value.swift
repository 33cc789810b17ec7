// One SQLite value: what a column gives and a parameter takes. Text is UTF-8; anything else is converted by SQLite.

package enum Value: Sendable, Hashable {
  case null
  case integer(Int64)
  case real(Double)
  case text(String)
  case blob([UInt8])

  package var integer: Int64? { if case .integer(let v) = self { v } else { nil } }
  package var text: String? { if case .text(let v) = self { v } else { nil } }
  package var blob: [UInt8]? { if case .blob(let v) = self { v } else { nil } }
  package var isNull: Bool { self == .null }
}
