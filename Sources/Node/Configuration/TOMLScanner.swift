// Takes TOML's words from a text, and knows the line.

struct TOMLScanner {
  private let scalars: [Unicode.Scalar]
  private var at = 0
  private(set) var line = 1
  private let source: String

  init(_ text: String, source: String) {
    scalars = Array(text.unicodeScalars)
    self.source = source
  }

  func error(_ message: String, line: Int? = nil) -> ConfigurationError {
    ConfigurationError(message, source: source, line: line ?? self.line)
  }

  private var next: Unicode.Scalar? { at < scalars.count ? scalars[at] : nil }

  mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    guard next == scalar else { return false }
    at += 1
    return true
  }

  private mutating func skipBlanks() { while next == " " || next == "\t" { at += 1 } }

  private mutating func skipComment() throws(ConfigurationError) {
    guard next == "#" else { return }
    while let scalar = next, scalar != "\n" {
      guard scalar == "\t" || scalar == "\r" || !Self.isControl(scalar) else { throw error("a control character") }
      at += 1
    }
  }

  private mutating func takeLineEnd() -> Bool {
    let start = at
    _ = take("\r")
    if take("\n") {
      line += 1
      return true
    }
    at = start
    return false
  }

  /// Over blanks, comments and empty lines; false at the end of the text.
  mutating func skipToContent() throws(ConfigurationError) -> Bool {
    repeat {
      skipBlanks()
      try skipComment()
    } while takeLineEnd()
    return next != nil
  }

  mutating func expectEndOfLine() throws(ConfigurationError) {
    skipBlanks()
    try skipComment()
    guard next == nil || takeLineEnd() else { throw error("one value a line: something follows it") }
  }

  mutating func expectEquals() throws(ConfigurationError) {
    skipBlanks()
    guard take("=") else {
      throw error(next == "." ? "names with dots are not used here: write a [section]" : "a name wants ` = value`")
    }
    skipBlanks()
  }

  /// Behind "[".
  mutating func header() throws(ConfigurationError) -> String {
    guard next != "[" else { throw error("lists of tables are not used here") }
    skipBlanks()
    let name = try key()
    skipBlanks()
    guard take("]") else { throw error("a section is written [name]") }
    return name
  }

  mutating func key() throws(ConfigurationError) -> String {
    if next == "\"" || next == "'" { return try string() }
    let start = at
    while let scalar = next, Self.isBare(scalar) { at += 1 }
    guard at > start else { throw error("a line is `name = value` or [section]") }
    return text(start..<at)
  }

  mutating func value() throws(ConfigurationError) -> TOMLDocument.Value {
    switch next {
    case "\"", "'": return .text(try string())
    case "[": return .list(try list())
    case "{": throw error("tables inside a line are not used here: write a [section]")
    default: return try word()
    }
  }

  private mutating func word() throws(ConfigurationError) -> TOMLDocument.Value {
    let start = at
    while let scalar = next, Self.isBare(scalar) || "+.:".unicodeScalars.contains(scalar) { at += 1 }
    let word = text(start..<at)
    switch word {
    case "": throw error("the value is missing")
    case "true": return .boolean(true)
    case "false": return .boolean(false)
    default: break
    }
    // An underscore stands between digits only; a leading zero would mean octal elsewhere.
    let digits = word.drop { $0 == "-" || $0 == "+" }
    let groups = digits.split(separator: "_", omittingEmptySubsequences: false)
    guard word.count - digits.count <= 1,
      groups.allSatisfy({ !$0.isEmpty && $0.allSatisfy { $0.isASCII && $0.isNumber } }),
      digits == "0" || digits.first != "0", let number = Int(word.filter { $0 != "_" })
    else { throw error("`\(word)` is not a value: texts stand in quotes") }
    return .number(number)
  }

  private mutating func list() throws(ConfigurationError) -> [TOMLDocument.Value] {
    _ = take("[")
    var values: [TOMLDocument.Value] = []
    while try skipToContent() {
      if take("]") { return values }
      guard next != "[" else { throw error("lists inside lists are not used here") }
      values.append(try value())
      guard try skipToContent() else { break }
      if take(",") { continue }
      guard next == "]" else { throw error("values of a list have commas between") }
    }
    throw error("a list ends with ]")
  }

  private mutating func string() throws(ConfigurationError) -> String {
    guard let quote = next else { throw error("the value is missing") }
    at += 1
    var result = String.UnicodeScalarView()
    while let scalar = next, scalar != "\n" {
      at += 1
      if scalar == quote {
        guard !(result.isEmpty && next == quote) else { throw error("strings of several lines are not used here") }
        return String(result)
      }
      if scalar == "\\", quote == "\"" {
        result.append(try escape())
      } else {
        guard scalar == "\t" || !Self.isControl(scalar) else { throw error("a control character in a string") }
        result.append(scalar)
      }
    }
    throw error("a string ends on its line, with the quote that it began with")
  }

  private mutating func escape() throws(ConfigurationError) -> Unicode.Scalar {
    let known: [Unicode.Scalar: Unicode.Scalar] = [
      "b": "\u{8}", "t": "\t", "n": "\n", "f": "\u{C}", "r": "\r", "\"": "\"", "\\": "\\",
    ]
    guard let letter = next else { throw error("a string ends on its line") }
    at += 1
    if let scalar = known[letter] { return scalar }
    let count = letter == "u" ? 4 : letter == "U" ? 8 : 0
    guard count > 0, at + count <= scalars.count, let code = UInt32(text(at..<(at + count)), radix: 16),
      scalars[at] != "+", let scalar = Unicode.Scalar(code)
    else { throw error("an escape that TOML does not know") }
    at += count
    return scalar
  }

  private func text(_ range: Range<Int>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars[range])
    return String(view)
  }

  private static func isBare(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "a"..."z", "A"..."Z", "0"..."9", "-", "_": true
    default: false
    }
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool { scalar.value < 0x20 || scalar.value == 0x7F }
}
