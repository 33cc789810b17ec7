// One prepared statement. Its owner finalizes it, gives it back to the connection's cache, or lets it go.

import CSQLite

package final class Statement {
  private(set) var handle: OpaquePointer?
  /// Nil while the statement lies in the connection's cache, or the two would keep each other for ever.
  private var owner: Connection?
  var connection: Connection {
    guard let owner else { preconditionFailure("a statement that was given back is not used") }
    return owner
  }
  /// What the authorizer saw while it was prepared; empty without a sandbox.
  package let effects: StatementEffects
  var cacheKey: String?

  init(adopting handle: OpaquePointer, of connection: Connection, effects: StatementEffects) {
    self.handle = handle
    owner = connection
    self.effects = effects
  }

  deinit { sqlite3_finalize(handle) }

  func enterCache() { owner = nil }
  func leaveCache(of connection: Connection) { owner = connection }

  package func finalize() {
    sqlite3_finalize(handle)
    handle = nil
  }

  package func reset(clear: Bool = false) {
    sqlite3_reset(handle)
    if clear { sqlite3_clear_bindings(handle) }
  }

  package var isReadOnly: Bool { sqlite3_stmt_readonly(handle) != 0 }
  /// It changes rows of tables, gives none, and has its values apart from its text.
  var isPlainWrite: Bool {
    effects.isEmpty && !isReadOnly && !isExplain && sqlite3_column_count(handle) == 0 && parameterCount > 0
  }
  package var isExplain: Bool { sqlite3_stmt_isexplain(handle) != 0 }
  package var parameterCount: Int { Int(sqlite3_bind_parameter_count(handle)) }
  package func parameterName(_ index: Int) -> String? {
    sqlite3_bind_parameter_name(handle, Int32(index)).map { String(cString: $0) }
  }
  /// From 1; nil when there is no parameter of that name (which includes its `:`, `@` or `$`).
  package func parameterIndex(_ name: String) -> Int? {
    let index = sqlite3_bind_parameter_index(handle, name)
    return index > 0 ? Int(index) : nil
  }

  /// Parameters count from 1.
  package func bind(_ value: Value, at index: Int) throws(SQLiteError) {
    let i = Int32(index)
    let result =
      switch value {
      case .null: sqlite3_bind_null(handle, i)
      case .integer(let v): sqlite3_bind_int64(handle, i, v)
      case .real(let v): sqlite3_bind_double(handle, i, v)
      case .text(var v):
        v.withUTF8 { text in
          guard let base = text.baseAddress else { return komora_bind_text(handle, i, "", 0) }
          return base.withMemoryRebound(to: CChar.self, capacity: text.count) {
            komora_bind_text(handle, i, $0, UInt64(text.count))
          }
        }
      case .blob(let v): v.withUnsafeBytes { komora_bind_blob(handle, i, $0.baseAddress, UInt64($0.count)) }
      }
    guard result == SQLITE_OK else { throw connection.error(result) }
  }

  /// True when a row is ready, false when the statement is done.
  package func step() throws(SQLiteError) -> Bool {
    if try stepRaw() { return true }
    if connection.sandbox != nil, !isReadOnly { connection.noteChanges() }
    if effects.contains(.schema) { try connection.checkReservedNames() }
    return false
  }

  func stepRaw() throws(SQLiteError) -> Bool {
    let result = sqlite3_step(handle)
    switch result {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    default:
      let error = connection.error(result)
      sqlite3_reset(handle)
      throw error
    }
  }

  package var columnCount: Int { Int(sqlite3_column_count(handle)) }
  package func columnName(_ index: Int) -> String {
    sqlite3_column_name(handle, Int32(index)).map { String(cString: $0) } ?? ""
  }
  package func declaredType(_ index: Int) -> String? {
    sqlite3_column_decltype(handle, Int32(index)).map { String(cString: $0) }
  }

  /// Columns count from 0.
  package func column(_ index: Int) -> Value {
    let i = Int32(index)
    switch sqlite3_column_type(handle, i) {
    case SQLITE_INTEGER: return .integer(sqlite3_column_int64(handle, i))
    case SQLITE_FLOAT: return .real(sqlite3_column_double(handle, i))
    case SQLITE_TEXT:
      guard let text = sqlite3_column_text(handle, i) else { return .text("") }
      let bytes = UnsafeBufferPointer(start: text, count: Int(sqlite3_column_bytes(handle, i)))
      return .text(String(decoding: bytes, as: UTF8.self))
    case SQLITE_BLOB:
      guard let blob = sqlite3_column_blob(handle, i) else { return .blob([]) }
      return .blob([UInt8](UnsafeRawBufferPointer(start: blob, count: Int(sqlite3_column_bytes(handle, i)))))
    default: return .null
    }
  }

  package var row: [Value] { (0..<columnCount).map(column) }
}
