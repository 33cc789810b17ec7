// Rows as RFC 4180 text, told apart even by readers that forget what was quoted:
//
//   NULL     \N
//   integer  its digits          real  its shortest digits, 9e999 and -9e999 for the infinities
//   text     in quotes; one that begins with a backslash gets one more before it
//   blob     \x and hexadecimal digits

import SQLite

enum CSVText {
  private static let pieceBytes = 32 << 10

  /// Whether `append` takes the value; one that is longer comes in pieces from `field`.
  static func isShort(_ value: Value) -> Bool {
    switch value {
    case .text(let text): text.utf8.count <= pieceBytes
    case .blob(let blob): blob.count <= pieceBytes
    default: true
    }
  }

  /// A short value at the end of `row`.
  static func append(_ value: Value, to row: inout [UInt8]) {
    switch value {
    case .null: row.append(contentsOf: "\\N".utf8)
    case .integer(let number): row.append(contentsOf: String(number).utf8)
    case .real(let number): row.append(contentsOf: Self.text(number).utf8)
    case .text(var text):
      text.withUTF8 { bytes in
        row.append(quote)
        if bytes.first == UInt8(ascii: "\\") { row.append(UInt8(ascii: "\\")) }
        var start = 0
        for i in bytes.indices where bytes[i] == quote {
          row.append(contentsOf: bytes[start...i])
          start = i
        }
        row.append(contentsOf: bytes[start...])
        row.append(quote)
      }
    case .blob(let blob):
      row.append(contentsOf: "\\x".utf8)
      row.append(contentsOf: digits(blob, blob.indices))
    }
  }

  private static let quote = UInt8(ascii: "\"")

  private static func text(_ number: Double) -> String {
    number.isInfinite ? (number < 0 ? "-9e999" : "9e999") : "\(number)"
  }

  /// A value without anything around it; long ones come in pieces.
  static func field(_ value: Value, _ put: ([UInt8]) throws -> Void) throws {
    switch value {
    case .text(let text): try quoted(text, put)
    case .blob(let blob):
      try put(Array("\\x".utf8))
      for start in stride(from: 0, to: blob.count, by: pieceBytes) {
        try put(digits(blob, start..<min(start + pieceBytes, blob.count)))
      }
    default:
      var field: [UInt8] = []
      append(value, to: &field)
      try put(field)
    }
  }

  private static func digits(_ blob: [UInt8], _ range: Range<Int>) -> [UInt8] {
    let letters = Array("0123456789abcdef".utf8)
    return [UInt8](unsafeUninitializedCapacity: 2 * range.count) { buffer, used in
      for i in range {
        buffer[used] = letters[Int(blob[i] >> 4)]
        buffer[used + 1] = letters[Int(blob[i] & 15)]
        used += 2
      }
    }
  }

  static func quoted(_ text: String, _ put: ([UInt8]) throws -> Void) throws {
    let bytes = Array(text.utf8)
    try put(bytes.first == UInt8(ascii: "\\") ? [quote, UInt8(ascii: "\\")] : [quote])
    var start = 0
    for (i, byte) in bytes.enumerated() where byte == quote {
      try put(Array(bytes[start...i]))
      start = i
    }
    try put((start == 0 ? bytes : Array(bytes[start...])) + [quote])
  }

  static let comma: [UInt8] = [UInt8(ascii: ",")]
  static let end: [UInt8] = [0x0D, 0x0A]

  /// A whole row, for short values.
  static func row(_ values: [Value]) -> [UInt8] {
    var row: [UInt8] = []
    for (i, value) in values.enumerated() {
      if i > 0 { row += comma }
      append(value, to: &row)
    }
    return row + end
  }
}
