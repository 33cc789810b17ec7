// What the process that reads a foreign database sends to the one that imports it, over a pipe.
//
// | offset | size | field |
// | 0 | 1 | kind: P plan, B rows, E end, X failure |
// | 1 | 4 | length of the body, little-endian |
// | 5 | … | body: JSON of `DatabasePlan`; table (4), rows (4) and their values (row-batch); nothing; kind (1), sentence |
//
// The reader parses a file that may be hostile, so the importer trusts no length and no content of a frame.

package import Base

package enum DatabaseFrame: Equatable {
  case plan([UInt8])
  /// As many rows as go on together, in the layout of ``RowBatchValues``.
  case rows(table: Int, count: Int, values: ArraySlice<UInt8>)
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
    case .rows(let table, let count, let values):
      kind = UInt8(ascii: "B")
      body.put(UInt32(table))
      body.put(UInt32(count))
      body.put(raw: values)
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

  /// Reads a body.
  init(kind: UInt8, body: [UInt8]) throws(BytesError) {
    var reader = ByteReader(body)
    switch kind {
    case UInt8(ascii: "P"): self = .plan(body)
    case UInt8(ascii: "B"):
      let table = Int(try reader.take(UInt32.self))
      let count = Int(try reader.take(UInt32.self))
      self = .rows(table: table, count: count, values: try reader.take(raw: reader.remaining))
    case UInt8(ascii: "E"):
      try reader.finish()
      self = .end
    case UInt8(ascii: "X"):
      let refused = try reader.take(UInt8.self) == 1
      self = .failure(refused: refused, String(decoding: body.dropFirst(), as: UTF8.self))
    default: throw BytesError("unknown frame \(kind)", at: 0)
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
