// Takes the fields of ownership layouts from bytes of outside, each with its limit, and says `FormatError` for all of
// them.

import Base

struct OwnershipReader {
  private var reader: ByteReader

  init(_ bytes: [UInt8]) { reader = ByteReader(bytes) }

  var offset: Int { reader.offset }

  mutating func take<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(FormatError) -> T {
    do { return try reader.take(type) } catch { throw FormatError(error) }
  }

  mutating func takeNode() throws(FormatError) -> NodeID {
    do { return try reader.take(id: NodeID.self) } catch { throw FormatError(error) }
  }

  mutating func takeAccount() throws(FormatError) -> AccountID {
    do { return try reader.take(id: AccountID.self) } catch { throw FormatError(error) }
  }

  /// An epoch, an index, a life or a sequence: numbers that count up from 0 and never get near their end.
  mutating func takeEpoch() throws(FormatError) -> UInt64 {
    let start = offset
    let number: UInt64 = try take()
    guard number <= OwnershipLimits.epochMax else { throw FormatError(.limit, "number \(number)", at: start) }
    return number
  }

  mutating func takeFlag() throws(FormatError) -> Bool {
    let start = offset
    let flag: UInt8 = try take()
    guard flag <= 1 else { throw FormatError(.damaged, "flag \(flag)", at: start) }
    return flag == 1
  }

  /// A length of 8 bits, then UTF-8.
  mutating func takeText() throws(FormatError) -> String {
    let start = offset
    let count = Int(try take(UInt8.self))
    guard count <= GossipLimits.textBytesMax else { throw FormatError(.limit, "text of \(count) bytes", at: start) }
    let raw: ArraySlice<UInt8>
    do { raw = try reader.take(raw: count) } catch { throw FormatError(error) }
    guard let text = String(validating: raw, as: UTF8.self) else {
      throw FormatError(.damaged, "text is not UTF-8", at: start + 1)
    }
    return text
  }

  /// A count of 16 bits that is within `limit` and fits into what is left.
  mutating func takeCount(limit: Int, entryBytes: Int) throws(FormatError) -> Int {
    let start = offset
    let count = Int(try take(UInt16.self))
    guard count <= limit else { throw FormatError(.limit, "\(count) entries", at: start) }
    guard count <= reader.remaining / entryBytes else {
      throw FormatError(.truncated, "\(count) entries in \(reader.remaining) bytes", at: start)
    }
    return count
  }

  mutating func takeVersion(_ expected: UInt8, of layout: String) throws(FormatError) {
    let start = offset
    let version: UInt8 = try take()
    guard version == expected else { throw FormatError(.version, "\(layout) version \(version)", at: start) }
  }

  func finish() throws(FormatError) {
    guard reader.remaining == 0 else { throw FormatError(.damaged, "\(reader.remaining) bytes too many", at: offset) }
  }
}
