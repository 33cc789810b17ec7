// A value of SQL as account requests carry it. Layout: Formats.docc/account-requests.md.

public import Base

public enum AccountValue: Hashable, Sendable {
  case null
  case integer(Int64)
  case real(Double)
  case text(String)
  case blob([UInt8])

  /// Appends the value's layout.
  public func encode(to writer: inout ByteWriter) {
    switch self {
    case .null: writer.put(UInt8(0))
    case .integer(let number):
      writer.put(UInt8(1))
      writer.put(number)
    case .real(let number):
      writer.put(UInt8(2))
      writer.put(number.bitPattern)
    case .text(let text):
      writer.put(UInt8(3))
      writer.put(UInt32(text.utf8.count))
      writer.put(raw: text.utf8)
    case .blob(let bytes):
      writer.put(UInt8(4))
      writer.put(string: bytes)
    }
  }

  init(_ reader: inout AccountReader) throws(FormatError) {
    let start = reader.offset
    switch try reader.take(UInt8.self) {
    case 0: self = .null
    case 1: self = .integer(try reader.take())
    case 2: self = .real(Double(bitPattern: try reader.take()))
    case 3: self = .text(try reader.takeText(try reader.takeLength(AccountRequestLimits.valueBytesMax)))
    case 4: self = .blob(Array(try reader.takeRaw(try reader.takeLength(AccountRequestLimits.valueBytesMax))))
    case let kind: throw FormatError(.damaged, "value of kind \(kind)", at: start)
    }
  }
}
