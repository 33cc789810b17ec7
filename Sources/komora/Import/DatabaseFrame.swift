// What the process that reads a foreign database sends to the one that imports it, over a pipe.
//
// | offset | size | field |
// | 0 | 1 | kind: P plan, R row, E end, X failure |
// | 1 | 4 | length of the body, little-endian |
// | 5 | … | body: JSON of `DatabasePlan`; table (4), count (2) and values; nothing; kind (1) and a sentence |
//
// The reader parses a file that may be hostile, so the importer trusts no length and no content of a frame.

package import Base
package import SQLite

package enum DatabaseFrame: Equatable {
  case plan([UInt8])
  case row(table: Int, values: [Value])
  case end
  case failure(refused: Bool, String)

  static let bodyBytesMax = 64 << 20
  static let headBytes = 5

  package func encoded() -> [UInt8] {
    var body = ByteWriter()
    let kind: UInt8
    switch self {
    case .plan(let json):
      kind = UInt8(ascii: "P")
      body.put(raw: json)
    case .row(let table, let values):
      kind = UInt8(ascii: "R")
      body.put(UInt32(table))
      body.put(UInt16(values.count))
      for value in values { Self.put(value, &body) }
    case .end: kind = UInt8(ascii: "E")
    case .failure(let refused, let text):
      kind = UInt8(ascii: "X")
      body.put(UInt8(refused ? 1 : 0))
      body.put(raw: Array(text.utf8))
    }
    var frame = ByteWriter(capacity: body.bytes.count + Self.headBytes)
    frame.put(kind)
    frame.put(string: body.bytes)
    return frame.bytes
  }

  private static func put(_ value: Value, _ writer: inout ByteWriter) {
    switch value {
    case .null: writer.put(UInt8(0))
    case .integer(let number):
      writer.put(UInt8(1))
      writer.put(number)
    case .real(let number):
      writer.put(UInt8(2))
      writer.put(number.bitPattern)
    case .text(let text):
      writer.put(UInt8(3))
      writer.put(text: text)
    case .blob(let bytes):
      writer.put(UInt8(4))
      writer.put(string: bytes)
    }
  }

  /// Reads a body.
  init(kind: UInt8, body: [UInt8]) throws(BytesError) {
    var reader = ByteReader(body)
    switch kind {
    case UInt8(ascii: "P"): self = .plan(body)
    case UInt8(ascii: "R"):
      let table = Int(try reader.take(UInt32.self))
      let count = Int(try reader.take(UInt16.self))
      var values: [Value] = []
      for _ in 0..<count { values.append(try Self.takeValue(&reader)) }
      try reader.finish()
      self = .row(table: table, values: values)
    case UInt8(ascii: "E"):
      try reader.finish()
      self = .end
    case UInt8(ascii: "X"):
      let refused = try reader.take(UInt8.self) == 1
      self = .failure(refused: refused, String(decoding: body.dropFirst(), as: UTF8.self))
    default: throw BytesError("unknown frame \(kind)", at: 0)
    }
  }

  private static func takeValue(_ reader: inout ByteReader) throws(BytesError) -> Value {
    switch try reader.take(UInt8.self) {
    case 0: return .null
    case 1: return .integer(try reader.take())
    case 2: return .real(Double(bitPattern: try reader.take()))
    case 3: return .text(try reader.takeText(limit: bodyBytesMax))
    case 4: return .blob(try reader.takeString(limit: bodyBytesMax))
    case let tag: throw BytesError("unknown value \(tag)", at: reader.offset - 1)
    }
  }
}

/// Cuts a stream of bytes into frames.
package struct DatabaseFrameDecoder {
  private var bytes: [UInt8] = []
  private var start = 0

  package init() {}

  package mutating func append(_ more: [UInt8]) {
    if start > 0 {
      bytes.removeFirst(start)
      start = 0
    }
    bytes += more
  }

  /// Nil when more bytes are needed.
  package mutating func next() throws(BytesError) -> DatabaseFrame? {
    var reader = ByteReader(bytes[start...])
    guard reader.remaining >= DatabaseFrame.headBytes else { return nil }
    let kind = try reader.take(UInt8.self)
    let length = Int(try reader.take(UInt32.self))
    guard length <= DatabaseFrame.bodyBytesMax else { throw BytesError("a frame of \(length) bytes", at: 1) }
    guard reader.remaining >= length else { return nil }
    let body = Array(try reader.take(raw: length))
    start += DatabaseFrame.headBytes + length
    return try DatabaseFrame(kind: kind, body: body)
  }

  package var isEmpty: Bool { start == bytes.count }
}
