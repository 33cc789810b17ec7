// Rows as RFC 4180 text, told apart even by readers that forget what was quoted:
//
//   NULL     \N
//   integer  its digits          real  its shortest digits, 9e999 and -9e999 for the infinities
//   text     in quotes; one that begins with a backslash gets one more before it
//   blob     \x and hexadecimal digits

import SQLite

enum CSVText {
  private static let pieceBytes = 32 << 10

  /// A row without its end; long values come in pieces.
  static func field(_ value: Value, _ put: ([UInt8]) throws -> Void) throws {
    switch value {
    case .null: try put(Array("\\N".utf8))
    case .integer(let number): try put(Array("\(number)".utf8))
    case .real(let number):
      try put(Array((number.isInfinite ? (number < 0 ? "-9e999" : "9e999") : "\(number)").utf8))
    case .text(let text): try quoted(text, put)
    case .blob(let blob):
      try put(Array("\\x".utf8))
      for start in stride(from: 0, to: blob.count, by: pieceBytes) {
        try put(digits(blob, start..<min(start + pieceBytes, blob.count)))
      }
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
    let quote = UInt8(ascii: "\"")
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
  static func row(_ values: [Value]) throws -> [UInt8] {
    var row: [UInt8] = []
    for (i, value) in values.enumerated() {
      if i > 0 { row += comma }
      try field(value) { row += $0 }
    }
    return row + end
  }
}
