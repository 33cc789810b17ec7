// One statement and the rows of values that it is run with (`row-batch.md`): what an import sends instead of JSON.
//
// Values stay where they are in the bytes: a reader gives their places, so that texts and blobs are bound without a copy.

import Base

public struct RowBatch: Sendable {
  static let magic = "KROW"
  static let version: UInt16 = 1
  static let headBytes = 16
  static let checksumBytes = 4

  /// As it came; places of values count from its start.
  public let bytes: [UInt8]
  public let sql: String
  /// Values in each row.
  public let columns: Int
  public let rows: Int
  private let start: Int

  /// Checks the head and the checksum; the values are checked while they are read.
  public init(_ bytes: [UInt8]) throws(FormatError) {
    guard bytes.count >= 6, bytes[..<4].elementsEqual(Self.magic.utf8) else {
      throw FormatError(.foreign, "not a batch of rows")
    }
    guard bytes[4] == UInt8(Self.version), bytes[5] == 0 else {
      throw FormatError(.version, "a batch of rows of an unknown version", at: 4)
    }
    guard bytes.count >= Self.headBytes + Self.checksumBytes else {
      throw FormatError(.truncated, "a batch of rows ends in its head", at: bytes.count)
    }
    let end = bytes.count - Self.checksumBytes
    let checksum = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[end + $1]) << UInt32(8 * $1) }
    let found = unsafe CRC32C.checksum(bytes.span.bytes.extracting(0..<end))
    guard checksum == found else {
      throw FormatError(.damaged, "a batch of rows does not match its checksum", at: end)
    }
    var reader = ByteReader(bytes)
    do throws(BytesError) {
      _ = try reader.take(raw: 6)
      columns = Int(try reader.take(UInt16.self))
      rows = Int(try reader.take(UInt32.self))
      sql = try reader.takeText(limit: Limits.rowBatchSQLBytesMax)
    } catch { throw FormatError(.damaged, error.message, at: error.offset) }
    guard (1...Limits.rowBatchColumnsMax).contains(columns), (1...Limits.rowBatchRowsMax).contains(rows) else {
      throw FormatError(.limit, "a batch of \(rows) rows of \(columns) values", at: 6)
    }
    start = reader.offset
    // Each value has a byte at least, so no count makes a reader go on for long.
    guard start <= end, rows * columns <= end - start else {
      throw FormatError(.damaged, "a batch of rows is shorter than its counts", at: start)
    }
    self.bytes = bytes
  }

  /// The rows from the first one on.
  public func reader() -> RowBatchReader { RowBatchReader(self, from: start) }

  /// A whole batch; `values` holds `rows` rows of `columns` values each, as ``RowBatchValues`` writes them.
  public static func encode(sql: String, columns: Int, rows: Int, values: some Collection<UInt8>) -> [UInt8] {
    precondition((1...Limits.rowBatchColumnsMax).contains(columns) && (1...Limits.rowBatchRowsMax).contains(rows))
    var w = ByteWriter(capacity: headBytes + sql.utf8.count + values.count + checksumBytes)
    w.put(raw: magic.utf8)
    w.put(version)
    w.put(UInt16(columns))
    w.put(UInt32(rows))
    w.put(text: sql)
    w.put(raw: values)
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }
}

/// One value of a row; text, which is UTF-8, and blobs by their place in the batch's bytes.
public enum RowBatchValue: Sendable, Equatable {
  case null
  case integer(Int64)
  case real(Double)
  case text(Range<Int>)
  case blob(Range<Int>)

  static let (nullTag, integerTag, realTag, textTag, blobTag) = (UInt8(0), UInt8(1), UInt8(2), UInt8(3), UInt8(4))
}

/// Reads a batch row by row.
public struct RowBatchReader: Sendable {
  private let bytes: [UInt8]
  private let columns: Int
  private let end: Int
  private var rowsLeft: Int
  private var position: Int

  init(_ batch: RowBatch, from start: Int) {
    bytes = batch.bytes
    (columns, rowsLeft) = (batch.columns, batch.rows)
    (position, end) = (start, batch.bytes.count - RowBatch.checksumBytes)
  }

  /// Replaces `values` by the next row's; false behind the last row, where nothing may follow.
  public mutating func next(_ values: inout [RowBatchValue]) throws(FormatError) -> Bool {
    values.removeAll(keepingCapacity: true)
    guard rowsLeft > 0 else {
      guard position == end else { throw FormatError(.damaged, "bytes behind the last row", at: position) }
      return false
    }
    rowsLeft -= 1
    for _ in 0..<columns { values.append(try take()) }
    return true
  }

  private mutating func take() throws(FormatError) -> RowBatchValue {
    let at = position
    switch try takeByte() {
    case RowBatchValue.nullTag: return .null
    case RowBatchValue.integerTag:
      let coded = try takeVarint()
      return .integer(Int64(bitPattern: coded >> 1) ^ -Int64(coded & 1))
    case RowBatchValue.realTag:
      let place = try takePlace(of: 8)
      let bits = (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[place.lowerBound + $1]) << UInt64(8 * $1) }
      return .real(Double(bitPattern: bits))
    case RowBatchValue.textTag:
      let place = try takePlace(of: takeVarint())
      guard (try? UTF8Span(validating: bytes.span.extracting(place))) != nil else {
        throw FormatError(.damaged, "a text of a row is not UTF-8", at: at)
      }
      return .text(place)
    case RowBatchValue.blobTag: return .blob(try takePlace(of: takeVarint()))
    case let tag: throw FormatError(.damaged, "a value of unknown kind \(tag)", at: at)
    }
  }

  private mutating func takeByte() throws(FormatError) -> UInt8 {
    guard position < end else { throw FormatError(.truncated, "a row ends early", at: position) }
    defer { position += 1 }
    return bytes[position]
  }

  private mutating func takePlace(of count: UInt64) throws(FormatError) -> Range<Int> {
    guard count <= UInt64(end - position) else {
      throw FormatError(.truncated, "a value of \(count) bytes where \(end - position) are left", at: position)
    }
    defer { position += Int(count) }
    return position..<(position + Int(count))
  }

  /// Seven bits a byte, the lowest first; all but the last have the high bit.
  private mutating func takeVarint() throws(FormatError) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      let byte = try takeByte()
      guard shift < 63 || byte <= 1 else { break }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw FormatError(.damaged, "a number of more than 64 bits", at: position)
  }
}

/// Writes values of rows, one behind the other.
public struct RowBatchValues: Sendable {
  public private(set) var bytes: [UInt8] = []

  public init(capacity: Int = 256) { bytes.reserveCapacity(capacity) }

  public mutating func putNull() { bytes.append(RowBatchValue.nullTag) }

  public mutating func put(_ number: Int64) {
    bytes.append(RowBatchValue.integerTag)
    // The sign goes to the lowest bit, so that small numbers of both signs are short.
    putVarint(UInt64(bitPattern: number << 1 ^ number >> 63))
  }

  public mutating func put(_ number: Double) {
    bytes.append(RowBatchValue.realTag)
    for shift in stride(from: UInt64(0), to: 64, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: number.bitPattern >> shift))
    }
  }

  /// `text` is UTF-8.
  public mutating func put(text: RawSpan) { put(RowBatchValue.textTag, text) }

  public mutating func put(blob: RawSpan) { put(RowBatchValue.blobTag, blob) }

  /// Takes away and gives what lies before `count`; the rest stays.
  public mutating func removeFirst(_ count: Int) -> [UInt8] {
    guard count < bytes.count else {
      defer { bytes = [] }
      return bytes
    }
    let front = Array(bytes[..<count])
    bytes.removeFirst(count)
    return front
  }

  private mutating func put(_ tag: UInt8, _ content: RawSpan) {
    bytes.append(tag)
    putVarint(UInt64(content.byteCount))
    unsafe content.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
  }

  private mutating func putVarint(_ value: UInt64) {
    var left = value
    while left >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: left) | 0x80)
      left >>= 7
    }
    bytes.append(UInt8(left))
  }
}
