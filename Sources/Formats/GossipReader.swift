// Takes the fields of gossip layouts from bytes of outside, each with its limit, and says `FormatError` for all of them.

import Base

struct GossipReader {
  private var reader: ByteReader

  init(_ bytes: [UInt8]) { reader = ByteReader(bytes) }

  var offset: Int { reader.offset }
  var remaining: Int { reader.remaining }

  mutating func take<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(FormatError) -> T {
    do { return try reader.take(type) } catch { throw FormatError(error) }
  }

  mutating func take(raw count: Int) throws(FormatError) -> ArraySlice<UInt8> {
    do { return try reader.take(raw: count) } catch { throw FormatError(error) }
  }

  mutating func takeNode() throws(FormatError) -> NodeID { NodeID(bytes: try take(raw: 16)) }

  mutating func takeIncarnation() throws(FormatError) -> Incarnation {
    let start = offset
    let incarnation: Incarnation = try take()
    guard incarnation <= GossipLimits.incarnationMax else {
      throw FormatError(.limit, "incarnation \(incarnation)", at: start)
    }
    return incarnation
  }

  /// A length of 8 bits, then UTF-8.
  mutating func takeText() throws(FormatError) -> String {
    let start = offset
    let count = Int(try take(UInt8.self))
    guard count <= GossipLimits.textBytesMax else { throw FormatError(.limit, "text of \(count) bytes", at: start) }
    guard let text = String(validating: try take(raw: count), as: UTF8.self) else {
      throw FormatError(.damaged, "text is not UTF-8", at: start + 1)
    }
    return text
  }

  mutating func takeVersion(_ expected: UInt8, of layout: String) throws(FormatError) {
    let start = offset
    let version: UInt8 = try take()
    guard version == expected else { throw FormatError(.version, "\(layout) version \(version)", at: start) }
  }

  mutating func takeZeros(_ count: Int) throws(FormatError) {
    let start = offset
    guard try take(raw: count).allSatisfy({ $0 == 0 }) else {
      throw FormatError(.damaged, "reserved bytes are not zero", at: start)
    }
  }

  func finish() throws(FormatError) {
    guard remaining == 0 else { throw FormatError(.damaged, "\(remaining) bytes too many", at: offset) }
  }
}

extension ByteWriter {
  /// A length of 8 bits, then UTF-8. Traps on a text over the limit: configuration refuses such a name.
  mutating func put(shortText text: String) {
    let bytes = text.utf8
    precondition(bytes.count <= GossipLimits.textBytesMax, "a name of \(bytes.count) bytes")
    put(UInt8(bytes.count))
    put(raw: bytes)
  }
}
