// Takes the fields of account requests and replies from bytes of outside, and cuts messages out of a stream.

import Base

struct AccountReader {
  private var reader: ByteReader

  init(_ bytes: ArraySlice<UInt8>) { reader = ByteReader(bytes) }

  var offset: Int { reader.offset }
  var remaining: Int { reader.remaining }

  mutating func take<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(FormatError) -> T {
    do { return try reader.take(type) } catch { throw FormatError(error) }
  }

  mutating func takeRaw(_ count: Int) throws(FormatError) -> ArraySlice<UInt8> {
    do { return try reader.take(raw: count) } catch { throw FormatError(error) }
  }

  mutating func takeNode() throws(FormatError) -> NodeID {
    do { return try reader.take(id: NodeID.self) } catch { throw FormatError(error) }
  }

  /// A length of 32 bits.
  mutating func takeLength(_ max: Int) throws(FormatError) -> Int {
    let start = offset
    let count = Int(try take(UInt32.self))
    guard count <= max else { throw FormatError(.limit, "\(count) bytes", at: start) }
    return count
  }

  /// A count of 16 bits of entries that have at least `entryBytes` each.
  mutating func takeCount(_ max: Int, entryBytes: Int) throws(FormatError) -> Int {
    let start = offset
    let count = Int(try take(UInt16.self))
    guard count <= max, count <= remaining / entryBytes else {
      throw FormatError(.limit, "\(count) entries", at: start)
    }
    return count
  }

  mutating func takeText(_ count: Int) throws(FormatError) -> String {
    let start = offset
    guard let text = String(validating: try takeRaw(count), as: UTF8.self) else {
      throw FormatError(.damaged, "text is not UTF-8", at: start)
    }
    return text
  }

  mutating func takeShort() throws(FormatError) -> String { try takeText(Int(take(UInt8.self))) }
  mutating func takeLong() throws(FormatError) -> String { try takeText(Int(take(UInt16.self))) }

  mutating func takeFlag() throws(FormatError) -> Bool {
    let start = offset
    let flag: UInt8 = try take()
    guard flag <= 1 else { throw FormatError(.damaged, "flag \(flag)", at: start) }
    return flag == 1
  }

  func finish() throws(FormatError) {
    guard remaining == 0 else { throw FormatError(.damaged, "\(remaining) bytes too many", at: offset) }
  }
}

/// Cuts messages out of the bytes of a line: each has a length of 32 bits before it.
public struct AccountMessages: Sendable {
  private var buffer: [UInt8] = []
  private var start = 0

  public init() {}

  public mutating func feed(_ bytes: [UInt8]) {
    if start == buffer.count {
      (buffer, start) = (bytes, 0)
    } else {
      if start > 1 << 16, start * 2 > buffer.count {
        buffer.removeFirst(start)
        start = 0
      }
      buffer += bytes
    }
  }

  /// The next whole message; nil until more was fed.
  public mutating func next() throws(FormatError) -> ArraySlice<UInt8>? {
    guard buffer.count - start >= 4 else { return nil }
    var count = 0
    for i in 0..<4 { count |= Int(buffer[start + i]) << (8 * i) }
    guard (1...AccountRequestLimits.messageBytesMax).contains(count) else {
      throw FormatError(.limit, "a message of \(count) bytes")
    }
    guard buffer.count - start - 4 >= count else { return nil }
    defer { start += 4 + count }
    return buffer[(start + 4)..<(start + 4 + count)]
  }
}

extension ByteWriter {
  /// A text whose length was checked, or is shortened to what fits.
  mutating func put<Length: FixedWidthInteger & UnsignedInteger>(fitting text: String, lengthOf _: Length.Type) {
    var bytes = Array(text.utf8.prefix(Int(Length.max)))
    // Never in the middle of a character.
    if bytes.count < text.utf8.count { while String(validating: bytes, as: UTF8.self) == nil { bytes.removeLast() } }
    put(Length(bytes.count))
    put(raw: bytes)
  }

  /// Its length goes before it.
  consuming func asMessage() -> [UInt8] {
    patch(UInt32(bytes.count - 4), at: 0)
    return bytes
  }
}
