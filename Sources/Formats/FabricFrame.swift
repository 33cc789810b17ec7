// Frames of a fabric connection: head and payload by kind. Layout: Formats.docc/fabric.md.
//
// `take` reads one frame from the front of a buffer and never allocates for a length that it has not checked.

public import Base

public enum FabricFrame: Equatable, Sendable {
  case hello(least: UInt16, greatest: UInt16, window: UInt32)
  case open(stream: UInt32, FabricOpening, data: [UInt8], ends: Bool)
  case data(stream: UInt32, [UInt8], ends: Bool)
  case credit(stream: UInt32, bytes: UInt32)
  case reset(stream: UInt32, reason: UInt16)
  case ping(UInt64)
  case pong(UInt64)
  case goodbye(reason: UInt16)

  public static let headBytes = 12
  public static let payloadBytesMax = 16 << 10
  /// What `open` needs of its payload before data begins.
  public static let openingBytes = 8
  public static let windowBytes: ClosedRange<UInt32> = (16 << 10)...(16 << 20)
  static let magic = "KFAB"

  public func encode() -> [UInt8] {
    var writer = ByteWriter(capacity: 64)
    switch self {
    case .hello(let least, let greatest, let window):
      Self.head(&writer, 12, kind: 1)
      writer.put(raw: Self.magic.utf8)
      writer.put(least)
      writer.put(greatest)
      writer.put(window)
    case .open(let stream, let opening, let data, let ends):
      Self.head(&writer, Self.openingBytes + data.count, kind: 2, ends: ends, stream)
      writer.put(opening.priority.rawValue)
      writer.put(UInt8(0))
      writer.put(opening.method)
      writer.put(opening.deadlineMilliseconds)
      writer.put(raw: data)
    case .data(let stream, let data, let ends):
      Self.head(&writer, data.count, kind: 3, ends: ends, stream)
      writer.put(raw: data)
    case .credit(let stream, let bytes):
      Self.head(&writer, 4, kind: 4, stream)
      writer.put(bytes)
    case .reset(let stream, let reason):
      Self.head(&writer, 2, kind: 5, stream)
      writer.put(reason)
    case .ping(let word):
      Self.head(&writer, 8, kind: 6)
      writer.put(word)
    case .pong(let word):
      Self.head(&writer, 8, kind: 7)
      writer.put(word)
    case .goodbye(let reason):
      Self.head(&writer, 2, kind: 8)
      writer.put(reason)
    }
    return writer.bytes
  }

  /// Appends a data frame: what `encode` gives, without the copies in between.
  public static func put(data: ArraySlice<UInt8>, stream: UInt32, ends: Bool, to bytes: inout [UInt8]) {
    var writer = ByteWriter(capacity: headBytes)
    head(&writer, data.count, kind: 3, ends: ends, stream)
    bytes.append(contentsOf: writer.bytes)
    bytes.append(contentsOf: data)
  }

  private static func head(_ writer: inout ByteWriter, _ length: Int, kind: UInt8, ends: Bool = false, _ s: UInt32 = 0)
  {
    precondition(length <= payloadBytesMax, "a frame is cut before it is encoded")
    writer.put(UInt32(length))
    writer.put(kind)
    writer.put(UInt8(ends ? 1 : 0))
    writer.put(UInt16(0))
    writer.put(s)
  }

  /// The whole length of the frame that begins `bytes`; nil while its head is not whole.
  public static func length(_ bytes: ArraySlice<UInt8>) throws(BytesError) -> Int? {
    guard bytes.count >= headBytes else { return nil }
    var reader = ByteReader(bytes)
    let length = Int(try reader.take(UInt32.self))
    guard length <= payloadBytesMax else { throw BytesError("frame of \(length) bytes", at: 0) }
    return headBytes + length
  }

  /// Reads exactly one whole frame.
  public init(decoding bytes: ArraySlice<UInt8>) throws(BytesError) {
    var reader = ByteReader(bytes)
    let length = Int(try reader.take(UInt32.self))
    guard length <= Self.payloadBytesMax else { throw BytesError("frame of \(length) bytes", at: 0) }
    let kind = try reader.take(UInt8.self)
    let flags = try reader.take(UInt8.self)
    let reserved = try reader.take(UInt16.self)
    let stream = try reader.take(UInt32.self)
    guard reserved == 0, flags <= (kind == 2 || kind == 3 ? 1 : 0) else { throw BytesError("unknown flags", at: 5) }
    guard (stream != 0) == (2...5).contains(kind) else { throw BytesError("kind \(kind), stream \(stream)", at: 8) }
    guard reader.remaining == length else { throw BytesError("frame is not whole", at: 0) }
    switch kind {
    case 1: self = try Self.hello(&reader)
    case 2:
      let opening = try FabricOpening(&reader)
      self = .open(stream: stream, opening, data: Array(try reader.take(raw: reader.remaining)), ends: flags == 1)
    case 3:
      guard length > 0 || flags == 1 else { throw BytesError("data without data", at: 0) }
      self = .data(stream: stream, Array(try reader.take(raw: length)), ends: flags == 1)
    case 4:
      let bytes = try reader.take(UInt32.self)
      guard bytes > 0 else { throw BytesError("empty credit", at: Self.headBytes) }
      self = .credit(stream: stream, bytes: bytes)
    case 5: self = .reset(stream: stream, reason: try reader.take())
    case 6: self = .ping(try reader.take())
    case 7: self = .pong(try reader.take())
    case 8: self = .goodbye(reason: try reader.take())
    default: throw BytesError("kind \(kind) is unknown", at: 4)
    }
    try reader.finish()
  }

  private static func hello(_ reader: inout ByteReader) throws(BytesError) -> FabricFrame {
    try reader.expect(magic: magic)
    let (least, greatest) = (try reader.take(UInt16.self), try reader.take(UInt16.self))
    let window = try reader.take(UInt32.self)
    guard least <= greatest, windowBytes.contains(window) else { throw BytesError("hello out of range", at: headBytes) }
    return .hello(least: least, greatest: greatest, window: window)
  }
}
