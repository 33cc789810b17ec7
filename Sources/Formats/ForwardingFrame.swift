// Heads of forwarded requests and replies: a length, then fields of bounded text. Layout: Formats.docc/forwarding.md.

import Base

enum ForwardingFrame {
  /// What the length at the front of `bytes` covers, and with it how many bytes; nil while it is not whole.
  static func take(_ bytes: ArraySlice<UInt8>) throws(FormatError) -> (frame: ArraySlice<UInt8>, length: Int)? {
    guard bytes.count >= 4 else { return nil }
    var reader = ByteReader(bytes)
    do {
      let count = Int(try reader.take(UInt32.self))
      guard (1...ForwardingLimits.headBytesMax).contains(count) else {
        throw FormatError(.limit, "a head of \(count) bytes")
      }
      guard reader.remaining >= count else { return nil }
      return (try reader.take(raw: count), 4 + count)
    } catch let error as BytesError {
      throw FormatError(error)
    } catch let error as FormatError {
      throw error
    } catch {
      throw FormatError(.damaged, "unreadable")
    }
  }
}

extension ByteWriter {
  mutating func put(short text: String, max: Int) throws(FormatError) {
    guard text.utf8.count <= max else { throw FormatError(.limit, "text of \(text.utf8.count) bytes", at: bytes.count) }
    put(UInt8(text.utf8.count))
    put(raw: text.utf8)
  }

  mutating func put(long text: String, max: Int) throws(FormatError) {
    guard text.utf8.count <= max else { throw FormatError(.limit, "text of \(text.utf8.count) bytes", at: bytes.count) }
    put(UInt16(text.utf8.count))
    put(raw: text.utf8)
  }

  mutating func put(_ fields: [ForwardedField]) throws(FormatError) {
    guard fields.count <= ForwardingLimits.fieldsMax else {
      throw FormatError(.limit, "\(fields.count) fields", at: bytes.count)
    }
    put(UInt16(fields.count))
    for field in fields {
      try put(short: field.name, max: ForwardingLimits.shortBytesMax)
      try put(long: field.value, max: ForwardingLimits.fieldValueBytesMax)
    }
  }

  /// With the length of what follows in the four bytes that were left for it.
  consuming func framed() throws(FormatError) -> [UInt8] {
    let count = bytes.count - 4
    guard count <= ForwardingLimits.headBytesMax else { throw FormatError(.limit, "a head of \(count) bytes") }
    patch(UInt32(count), at: 0)
    return bytes
  }
}

struct ForwardingReader {
  private var reader: ByteReader

  init(_ frame: ArraySlice<UInt8>) { reader = ByteReader(frame) }

  /// In the layout, whose length comes first.
  private var offset: Int { reader.offset + 4 }

  mutating func take<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(FormatError) -> T {
    do { return try reader.take(type) } catch { throw FormatError(error) }
  }

  mutating func takeAccount() throws(FormatError) -> AccountID {
    do { return try reader.take(id: AccountID.self) } catch { throw FormatError(error) }
  }

  mutating func takeVersion() throws(FormatError) {
    let version: UInt8 = try take()
    guard version == ForwardingLimits.version else {
      throw FormatError(.version, "forwarding version \(version)", at: 4)
    }
  }

  mutating func takeShort(max: Int) throws(FormatError) -> String { try takeText(Int(take(UInt8.self)), max: max) }

  mutating func takeLong(max: Int) throws(FormatError) -> String { try takeText(Int(take(UInt16.self)), max: max) }

  private mutating func takeText(_ count: Int, max: Int) throws(FormatError) -> String {
    let start = offset
    guard count <= max else { throw FormatError(.limit, "text of \(count) bytes", at: start) }
    let raw: ArraySlice<UInt8>
    do { raw = try reader.take(raw: count) } catch { throw FormatError(error) }
    guard let text = String(validating: raw, as: UTF8.self) else {
      throw FormatError(.damaged, "text is not UTF-8", at: start)
    }
    return text
  }

  mutating func takeFields() throws(FormatError) -> [ForwardedField] {
    let start = offset
    let count = Int(try take(UInt16.self))
    guard count <= ForwardingLimits.fieldsMax, count <= reader.remaining / 3 else {
      throw FormatError(.limit, "\(count) fields", at: start)
    }
    var fields: [ForwardedField] = []
    for _ in 0..<count {
      fields.append(
        ForwardedField(
          try takeShort(max: ForwardingLimits.shortBytesMax), try takeLong(max: ForwardingLimits.fieldValueBytesMax)))
    }
    return fields
  }

  func finish() throws(FormatError) {
    guard reader.remaining == 0 else { throw FormatError(.damaged, "\(reader.remaining) bytes too many", at: offset) }
  }
}
