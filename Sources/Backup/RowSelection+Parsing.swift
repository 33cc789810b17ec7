// Patterns as people write them. Everything here comes from outside: lengths and numbers of things are bounded.

import Base

extension RowSelection {
  /// `.refused`, with a sentence that names the pattern's fault, for what is no pattern.
  package init(_ texts: [String]) throws(BackupError) {
    guard !texts.isEmpty else { throw Self.refusal("no pattern is given: see `komora merge --help`") }
    guard texts.count <= Self.patternsMax else {
      throw Self.refusal("there are more than \(Self.patternsMax) patterns: use fewer, or several merges")
    }
    var patterns: [Pattern] = []
    for text in texts { patterns.append(try Self.pattern(text)) }
    self.init(patterns: patterns)
    guard valueCount <= Self.valuesMax else {
      throw Self.refusal("the patterns have more than \(Self.valuesMax) values: use ranges, or several merges")
    }
  }

  private var valueCount: Int {
    patterns.reduce(0) { count, pattern in
      switch pattern {
      case .rows(_, let conditions): count + conditions.count
      case .keys(_, let keys):
        keys.reduce(count) { if case .parts(let parts) = $1 { $0 + parts.count } else { $0 + 2 } }
      case .recordings, .period: count + 2
      }
    }
  }

  static func refusal(_ message: String) -> BackupError { BackupError(.refused, message) }

  private static func pattern(_ text: String) throws(BackupError) -> Pattern {
    let bytes = Array(text.utf8)
    guard bytes.count <= patternBytesMax else {
      throw refusal("a pattern is longer than \(patternBytesMax) bytes: write several")
    }
    guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else { throw unknown }
    let rest = bytes[(colon + 1)...]
    switch String(decoding: bytes[..<colon], as: UTF8.self) {
    case "table": return try table(rest)
    case "row": return try row(rest)
    case "recording": return .recordings(try glob(rest))
    case "period": return try period(rest)
    default: throw unknown
    }
  }

  private static let unknown = refusal(
    "a pattern begins with table:, row:, recording: or period:, such as row:calls/17,19..31 or recording:2026/11/*")

  private static func table(_ bytes: ArraySlice<UInt8>) throws(BackupError) -> Pattern {
    guard let mark = bytes.firstIndex(of: UInt8(ascii: "?")) else {
      return .rows(table: try name(bytes, "table"), [])
    }
    var conditions: [Condition] = []
    for part in bytes[(mark + 1)...].split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: false) {
      conditions.append(try condition(part))
    }
    return .rows(table: try name(bytes[..<mark], "table"), conditions)
  }

  private static func condition(_ bytes: ArraySlice<UInt8>) throws(BackupError) -> Condition {
    let marks = Array("!<>=~".utf8)
    guard let start = bytes.firstIndex(where: marks.contains) else {
      throw refusal(
        "a condition is a column, one of = != < <= > >= ~, and a value, such as table:calls?started>=2026-11-01")
    }
    let rest = bytes[start...]
    guard let comparison = Comparison.allCases.first(where: { rest.starts(with: $0.rawValue.utf8) }) else {
      throw refusal("a condition has one of = != < <= > >= ~ between a column and a value")
    }
    let value = rest.dropFirst(comparison.rawValue.utf8.count)
    return Condition(
      column: try name(bytes[..<start], "column"), comparison: comparison,
      value: comparison == .like ? .glob(try glob(value)) : .value(try literal(value)))
  }

  private static func row(_ bytes: ArraySlice<UInt8>) throws(BackupError) -> Pattern {
    guard let slash = bytes.firstIndex(of: UInt8(ascii: "/")), slash + 1 < bytes.endIndex else {
      throw refusal("row: wants a table and a key, such as row:calls/17")
    }
    var keys: [Key] = []
    for part in bytes[(slash + 1)...].split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
      keys.append(try key(part))
    }
    return .keys(table: try name(bytes[..<slash], "table"), keys)
  }

  private static func key(_ bytes: ArraySlice<UInt8>) throws(BackupError) -> Key {
    let dots = Array("..".utf8)
    let range = bytes.indices.dropLast().first { bytes[$0...].starts(with: dots) }
    if let range {
      let (from, to) = (bytes[..<range], bytes[(range + 2)...])
      guard !from.isEmpty || !to.isEmpty, !to.contains(UInt8(ascii: "/")), !from.contains(UInt8(ascii: "/")) else {
        throw refusal(
          "a range of keys is FROM..TO, of keys of one column (write a dot or a slash in a key as %2E, %2F)")
      }
      return .range(from.isEmpty ? nil : try literal(from), to.isEmpty ? nil : try literal(to))
    }
    var parts: [Operand] = []
    for part in bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
      let isGlob = part.contains { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") }
      parts.append(isGlob ? .glob(try glob(part)) : .value(try literal(part)))
    }
    return .parts(parts)
  }

  private static func period(_ bytes: ArraySlice<UInt8>) throws(BackupError) -> Pattern {
    let sides = bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard sides.count == 2, let from = RFC3339.moment(String(decoding: sides[0], as: UTF8.self)),
      let to = RFC3339.moment(String(decoding: sides[1], as: UTF8.self)), from < to
    else {
      throw refusal("period: wants FROM/TO, such as period:2026-11-01T00:00:00Z/2026-11-02T00:00:00Z")
    }
    return .period(from: from, to: to)
  }

  // MARK: pieces

  private static func name(_ bytes: ArraySlice<UInt8>, _ what: String) throws(BackupError) -> String {
    let text = try decoded(bytes)
    guard !text.isEmpty else { throw refusal("a pattern names no \(what)") }
    return text
  }

  private static func decoded(_ bytes: ArraySlice<UInt8>) throws(BackupError) -> String {
    var plain: [UInt8] = []
    var i = bytes.startIndex
    while i < bytes.endIndex {
      guard bytes[i] == UInt8(ascii: "%") else {
        plain.append(bytes[i])
        i += 1
        continue
      }
      guard let byte = escaped(bytes, at: i) else {
        throw refusal("% in a pattern stands before two hexadecimal digits")
      }
      plain.append(byte)
      i += 3
    }
    guard let text = String(validating: plain, as: UTF8.self), !plain.contains(0) else {
      throw refusal("a pattern is UTF-8 without zero bytes")
    }
    return text
  }

  private static func escaped(_ bytes: ArraySlice<UInt8>, at i: Int) -> UInt8? {
    guard i + 2 < bytes.endIndex else { return nil }
    return [UInt8](hex: String(decoding: bytes[(i + 1)...(i + 2)], as: UTF8.self).lowercased())?.first
  }

  private static func glob(_ bytes: ArraySlice<UInt8>) throws(BackupError) -> Glob {
    guard !bytes.isEmpty else { throw refusal("a pattern for keys is empty: * stands for all") }
    var tokens: [Glob.Token] = []
    var start = bytes.startIndex
    func close(_ end: Int) throws(BackupError) {
      if start < end { tokens.append(.literal(try decoded(bytes[start..<end]))) }
      start = end + 1
    }
    for i in bytes.indices {
      switch bytes[i] {
      case UInt8(ascii: "*"):
        try close(i)
        if tokens.last != .any { tokens.append(.any) }
      case UInt8(ascii: "?"):
        try close(i)
        tokens.append(.one)
      default: break
      }
    }
    try close(bytes.endIndex)
    guard tokens.count(where: { $0 == .any }) <= starsMax else {
      throw refusal("a pattern has at most \(starsMax) stars")
    }
    return Glob(tokens: tokens)
  }

  private static func literal(_ bytes: ArraySlice<UInt8>) throws(BackupError) -> Literal {
    let text = try decoded(bytes)
    let quote: Character = "'"
    if text.hasPrefix("x'"), text.hasSuffix("'"), text.count >= 3 {
      guard let blob = [UInt8](hex: text.dropFirst(2).dropLast().lowercased()) else {
        throw refusal("x'…' holds hexadecimal digits, two for each byte")
      }
      return Literal(text: nil, number: nil, blob: blob)
    }
    if text.first == quote, text.last == quote, text.count >= 2 {
      return Literal(text: String(text.dropFirst().dropLast()).replacing("''", with: "'"), number: nil, blob: nil)
    }
    return Literal(text: text, number: number(text), blob: nil)
  }

  private static func number(_ text: String) -> Number? {
    guard !text.isEmpty, text.utf8.allSatisfy({ "+-.0123456789eE".utf8.contains($0) }) else { return nil }
    if let integer = Int64(text) { return .integer(integer) }
    guard let real = Double(text), real.isFinite else { return nil }
    return .real(real)
  }
}
