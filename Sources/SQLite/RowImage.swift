// Values of a row as bytes: exactly what SQLite holds, so that text that is no UTF-8 and every bit of a number survive.
//
// One field after the other: a byte for the type (0 NULL, 1 INTEGER, 2 REAL, 3 TEXT, 4 BLOB), then nothing, 8 bytes, 8
// bytes (both little-endian), or 4 bytes of length (little-endian) and as many bytes. Equal rows have equal images.

import CSQLite

package struct RowImage: Sendable, Equatable {
  package enum Field: Sendable, Equatable {
    case null
    case integer(Int64)
    /// The bits of a double.
    case real(UInt64)
    case text(ArraySlice<UInt8>)
    case blob(ArraySlice<UInt8>)
  }

  /// As many as a table can have columns, and a rowid.
  package static let fieldsMax = 2_001

  package var fields: [Field]

  package init(_ fields: [Field]) { self.fields = fields }

  /// Nil for anything but what `bytes` gives.
  package init?(_ bytes: [UInt8]) {
    var fields: [Field] = []
    var rest = bytes[...]
    func take(_ count: Int) -> ArraySlice<UInt8>? {
      guard rest.count >= count else { return nil }
      defer { rest = rest.dropFirst(count) }
      return rest.prefix(count)
    }
    func number(_ count: Int) -> UInt64? {
      take(count).map { $0.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
    }
    while let tag = rest.popFirst() {
      guard fields.count < Self.fieldsMax else { return nil }
      switch tag {
      case 0: fields.append(.null)
      case 1:
        guard let bits = number(8) else { return nil }
        fields.append(.integer(Int64(bitPattern: bits)))
      case 2:
        guard let bits = number(8) else { return nil }
        fields.append(.real(bits))
      case 3, 4:
        guard let count = number(4), let content = take(Int(count)) else { return nil }
        fields.append(tag == 3 ? .text(content) : .blob(content))
      default: return nil
      }
    }
    self.fields = fields
  }

  package var bytes: [UInt8] {
    var bytes: [UInt8] = []
    func append(_ number: UInt64, _ count: Int) {
      for i in 0..<count { bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(8 * i))) }
    }
    for field in fields {
      switch field {
      case .null: bytes.append(0)
      case .integer(let value):
        bytes.append(1)
        append(UInt64(bitPattern: value), 8)
      case .real(let bits):
        bytes.append(2)
        append(bits, 8)
      case .text(let content), .blob(let content):
        if case .text = field { bytes.append(3) } else { bytes.append(4) }
        append(UInt64(content.count), 4)
        bytes += content
      }
    }
    return bytes
  }
}

extension RowImage.Field {
  /// Text that is no UTF-8 does not stay what it is.
  package var value: Value {
    switch self {
    case .null: .null
    case .integer(let value): .integer(value)
    case .real(let bits): .real(Double(bitPattern: bits))
    case .text(let bytes): .text(String(decoding: bytes, as: UTF8.self))
    case .blob(let bytes): .blob(Array(bytes))
    }
  }
}

extension Statement {
  /// Column `index` (from 0) as it lies in the row.
  package func field(_ index: Int) -> RowImage.Field {
    let i = Int32(index)
    switch sqlite3_column_type(handle, i) {
    case SQLITE_INTEGER: return .integer(sqlite3_column_int64(handle, i))
    case SQLITE_FLOAT: return .real(sqlite3_column_double(handle, i).bitPattern)
    case SQLITE_TEXT:
      // The value before its length: asking for it may convert it.
      let text = UnsafeRawPointer(sqlite3_column_text(handle, i))
      return .text(Self.copy(text, sqlite3_column_bytes(handle, i)))
    case SQLITE_BLOB:
      let blob = sqlite3_column_blob(handle, i)
      return .blob(Self.copy(blob, sqlite3_column_bytes(handle, i)))
    default: return .null
    }
  }

  private static func copy(_ start: UnsafeRawPointer?, _ count: Int32) -> ArraySlice<UInt8> {
    guard let start else { return [] }
    return [UInt8](UnsafeRawBufferPointer(start: start, count: Int(count)))[...]
  }

  /// Columns `range` of the row that the statement is at.
  package func image(_ range: Range<Int>) -> RowImage { RowImage(range.map(field)) }

  /// Gives parameter `index` (from 1) the field's value.
  package func bind(_ field: RowImage.Field, at index: Int) throws(SQLiteError) {
    switch field {
    case .null: try bind(Value.null, at: index)
    case .integer(let value): try bind(Value.integer(value), at: index)
    case .real(let bits): try bind(Value.real(Double(bitPattern: bits)), at: index)
    case .blob(let content): try bind(Value.blob(Array(content)), at: index)
    case .text(let content):
      let result = content.withUnsafeBytes { bytes in
        guard let base = bytes.baseAddress else { return komora_bind_text(handle, Int32(index), "", 0) }
        return komora_bind_text(
          handle, Int32(index), base.assumingMemoryBound(to: CChar.self), UInt64(bytes.count))
      }
      guard result == SQLITE_OK else { throw connection.error(result) }
    }
  }
}

extension Connection {
  /// Runs `body` while no trigger of the database fires; foreign keys, checks and unique indexes hold as ever.
  package func withoutTriggers<R>(_ body: () throws -> R) rethrows -> R {
    komora_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    defer { komora_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1) }
    return try body()
  }
}
