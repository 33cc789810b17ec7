// The first words of a statement, past blanks and comments. It guesses where the statement will run; SQLite's own
// parser decides.

package enum SQLWords {
  /// At most `count` words in upper case. `=` stands alone, and an opening parenthesis counts as one (`PRAGMA x(1)`).
  package static func first(_ count: Int, of sql: String) -> [String] {
    var words: [String] = []
    var rest = sql.utf8.prefix(4096)
    while words.count < count, let byte = rest.first {
      switch byte {
      case 9, 10, 12, 13, 32, UInt8(ascii: ";"), UInt8(ascii: ")"): rest.removeFirst()
      case UInt8(ascii: "="), UInt8(ascii: "("):
        rest.removeFirst()
        words.append("=")
      case UInt8(ascii: "-") where rest.starts(with: "--".utf8): rest = rest.drop { $0 != 10 }
      case UInt8(ascii: "/") where rest.starts(with: "/*".utf8): rest = behindComment(rest.dropFirst(2))
      default:
        let word = rest.prefix { !isSeparator($0) }
        // Whatever begins with a sign of another kind is one word of one byte.
        let taken = word.isEmpty ? rest.prefix(1) : word
        words.append(String(decoding: taken, as: UTF8.self).uppercased())
        rest = rest.dropFirst(taken.count)
      }
    }
    return words
  }

  private static func isSeparator(_ byte: UInt8) -> Bool {
    switch byte {
    case 0...32, UInt8(ascii: ";"), UInt8(ascii: "="), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "/"),
      UInt8(ascii: "-"):
      true
    default: false
    }
  }

  private static func behindComment(_ text: Substring.UTF8View) -> Substring.UTF8View {
    var rest = text
    while !rest.isEmpty, !rest.starts(with: "*/".utf8) { rest.removeFirst() }
    return rest.dropFirst(2)
  }
}
