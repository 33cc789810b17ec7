// Writes JSON as bytes, piece by piece: rows go from a statement's columns into a reply without anything in between.
//
// The caller keeps brackets and commas right; strings are escaped here and nowhere else.

package struct JSONText: Sendable {
  package private(set) var bytes: [UInt8] = []

  package init(capacity: Int = 256) { bytes.reserveCapacity(capacity) }

  /// Text that is JSON already.
  package mutating func raw(_ json: StaticString) {
    json.withUTF8Buffer { bytes.append(contentsOf: $0) }
  }

  package mutating func raw(_ json: some Collection<UInt8>) { bytes.append(contentsOf: json) }

  package mutating func number(_ value: some BinaryInteger) { bytes.append(contentsOf: String(value).utf8) }

  /// JSON has no infinity; a number beyond the largest double reads as one.
  package mutating func number(_ value: Double) {
    switch value {
    case .infinity: raw("9.0e+999")
    case -Double.infinity: raw("-9.0e+999")
    case _ where value.isNaN: raw("null")
    default: bytes.append(contentsOf: "\(value)".utf8)
    }
  }

  package mutating func bool(_ value: Bool) { value ? raw("true") : raw("false") }

  package mutating func string(_ text: String?) {
    guard var text else { return raw("null") }
    bytes.append(UInt8(ascii: "\""))
    text.withUTF8 { escape($0) }
    bytes.append(UInt8(ascii: "\""))
  }

  /// A string that needs no escape: digits, base64.
  package mutating func plainString(_ text: String) {
    bytes.append(UInt8(ascii: "\""))
    bytes.append(contentsOf: text.utf8)
    bytes.append(UInt8(ascii: "\""))
  }

  private mutating func escape(_ text: UnsafeBufferPointer<UInt8>) {
    var start = 0
    for (i, byte) in text.enumerated() where byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
      bytes.append(contentsOf: text[start..<i])
      start = i + 1
      switch byte {
      case UInt8(ascii: "\""): raw("\\\"")
      case UInt8(ascii: "\\"): raw("\\\\")
      case 10: raw("\\n")
      case 13: raw("\\r")
      case 9: raw("\\t")
      default:
        raw("\\u00")
        for nibble in [byte >> 4, byte & 15] { bytes.append(nibble < 10 ? 48 + nibble : 87 + nibble) }
      }
    }
    bytes.append(contentsOf: text[start...])
  }
}
