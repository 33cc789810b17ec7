// Many rows through one statement, in and out, without a value of Swift's for each text and blob.
//
// In: texts and blobs lie in the caller's bytes and are bound as they lie there; the bindings are cleared before the call
// returns, so nothing of SQLite's points there afterwards. Out: the bytes of a column are lent to a body.

import CSQLite

/// A value to bind; text, which is UTF-8, and blobs by their place in bytes that are given beside it.
package enum PlacedValue: Sendable, Equatable {
  case null
  case integer(Int64)
  case real(Double)
  case text(Range<Int>)
  case blob(Range<Int>)
}

package enum ColumnKind: Sendable {
  case null, integer, real, text, blob
}

extension Statement {
  /// Runs the statement, which gives no rows, once with `values`, parameters 1 and following.
  package func run(_ values: [PlacedValue], in bytes: [UInt8]) throws(SQLiteError) {
    let failure: SQLiteError? = bytes.withUnsafeBytes { bytes in
      // Before the closure ends: behind it the array may be given back.
      defer { reset(clear: true) }
      do throws(SQLiteError) {
        try bind(values, bytes)
        while try step() {}
        return nil
      } catch { return error }
    }
    if let failure { throw failure }
  }

  private func bind(_ values: [PlacedValue], _ bytes: UnsafeRawBufferPointer) throws(SQLiteError) {
    for (number, value) in values.enumerated() {
      let i = Int32(number + 1)
      let result =
        switch value {
        case .null: sqlite3_bind_null(handle, i)
        case .integer(let v): sqlite3_bind_int64(handle, i, v)
        case .real(let v): sqlite3_bind_double(handle, i, v)
        case .text(let place):
          // The bounds are looked at: a place outside traps here, in front of C.
          if place.isEmpty {
            komora_bind_text(handle, i, "", 0)
          } else {
            UnsafeRawBufferPointer(rebasing: bytes[place]).withMemoryRebound(to: CChar.self) {
              komora_bind_text_static(handle, i, $0.baseAddress, UInt64($0.count))
            }
          }
        case .blob(let place):
          komora_bind_blob_static(
            handle, i, UnsafeRawBufferPointer(rebasing: bytes[place]).baseAddress, UInt64(place.count))
        }
      guard result == SQLITE_OK else { throw connection.error(result) }
    }
  }

  // MARK: columns, which count from 0

  package func columnKind(_ index: Int) -> ColumnKind {
    switch sqlite3_column_type(handle, Int32(index)) {
    case SQLITE_INTEGER: .integer
    case SQLITE_FLOAT: .real
    case SQLITE_TEXT: .text
    case SQLITE_BLOB: .blob
    default: .null
    }
  }

  package func columnReal(_ index: Int) -> Double { sqlite3_column_double(handle, Int32(index)) }

  /// The bytes of a text, converted to UTF-8 where the database has another encoding, else as they are stored.
  package func withText<R>(_ index: Int, _ body: (RawSpan) throws -> R) rethrows -> R {
    let start = sqlite3_column_text(handle, Int32(index))
    let count = start == nil ? 0 : Int(sqlite3_column_bytes(handle, Int32(index)))
    return try body(UnsafeRawBufferPointer(start: start, count: count).bytes)
  }

  package func withBlob<R>(_ index: Int, _ body: (RawSpan) throws -> R) rethrows -> R {
    let start = sqlite3_column_blob(handle, Int32(index))
    let count = start == nil ? 0 : Int(sqlite3_column_bytes(handle, Int32(index)))
    return try body(UnsafeRawBufferPointer(start: start, count: count).bytes)
  }
}

extension Connection {
  /// Whether the client's statements that run now have had their time: many short ones never meet the handler that looks.
  package var isPastDeadline: Bool { sandbox?.isPastDeadline ?? false }
}
