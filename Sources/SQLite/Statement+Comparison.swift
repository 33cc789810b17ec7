// Columns of two statements side by side: compared, and carried from one to the other, as SQLite holds them. Nothing is
// copied or turned into a string, so text that is no UTF-8 stays what it is and a scan of equal rows costs little.

import CSQLite
import Glibc

extension Statement {
  /// Whether both columns hold the same value: the same type, and the same number or bytes. Columns count from 0.
  package func column(_ index: Int, equals other: Statement, _ otherIndex: Int) -> Bool {
    let (i, j) = (Int32(index), Int32(otherIndex))
    let type = sqlite3_column_type(handle, i)
    guard type == sqlite3_column_type(other.handle, j) else { return false }
    switch type {
    case SQLITE_NULL: return true
    case SQLITE_INTEGER: return sqlite3_column_int64(handle, i) == sqlite3_column_int64(other.handle, j)
    case SQLITE_FLOAT:
      return sqlite3_column_double(handle, i).bitPattern == sqlite3_column_double(other.handle, j).bitPattern
    default:
      // The value before its length: asking for it may convert it.
      let mine = type == SQLITE_TEXT ? UnsafeRawPointer(sqlite3_column_text(handle, i)) : sqlite3_column_blob(handle, i)
      let theirs =
        type == SQLITE_TEXT
        ? UnsafeRawPointer(sqlite3_column_text(other.handle, j)) : sqlite3_column_blob(other.handle, j)
      let count = sqlite3_column_bytes(handle, i)
      guard count == sqlite3_column_bytes(other.handle, j) else { return false }
      guard count > 0, let mine, let theirs else { return true }
      return memcmp(mine, theirs, Int(count)) == 0
    }
  }

  package func columnIsNull(_ index: Int) -> Bool { sqlite3_column_type(handle, Int32(index)) == SQLITE_NULL }
  package func columnInteger(_ index: Int) -> Int64 { sqlite3_column_int64(handle, Int32(index)) }

  /// Gives parameter `index` (from 1) what the other statement's column (from 0) holds.
  package func bind(columnOf other: Statement, _ column: Int, at index: Int) throws(SQLiteError) {
    let result = sqlite3_bind_value(handle, Int32(index), sqlite3_column_value(other.handle, Int32(column)))
    guard result == SQLITE_OK else { throw connection.error(result) }
  }
}
