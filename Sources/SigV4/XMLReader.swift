// Reads the part of XML 1.0 that S3's clients and servers send: elements, text, the five named and the numeric references.
//
// Not Foundation's parser: that one traps on a malformed name, which whoever sends it may choose. Declarations of
// documents and entities, and CDATA, are refused; attributes, comments and processing instructions are passed over.

package struct XMLReader {
  package enum Event: Equatable, Sendable {
    /// Local names, without prefix.
    case start(String)
    case end(String)
    case text(String)
  }

  package struct Malformed: Error, Equatable {
    package init() {}
  }

  private let bytes: [UInt8]
  private var at = 0
  private var open: [String] = []
  /// The end that belongs to `<name/>`.
  private var selfClosed = false
  private static let depthMax = 16

  /// Throws when the bytes are not UTF-8.
  package init(_ bytes: [UInt8]) throws(Malformed) {
    guard String(validating: bytes, as: UTF8.self) != nil else { throw Malformed() }
    self.bytes = bytes
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
  }

  /// The next event; nil behind the end of the outermost element.
  package mutating func next() throws(Malformed) -> Event? {
    if selfClosed {
      selfClosed = false
      return .end(open.removeLast())
    }
    while at < bytes.count {
      guard bytes[at] == UInt8(ascii: "<") else {
        let text = try text()
        // Between elements of the outermost level only blanks may stand.
        guard !open.isEmpty else {
          guard text.utf8.allSatisfy({ [9, 10, 13, 32].contains($0) }) else { throw Malformed() }
          continue
        }
        return .text(text)
      }
      if starts(with: "<?") {
        try skip(behind: "?>")
      } else if starts(with: "<!--") {
        try skip(behind: "-->")
      } else if starts(with: "</") {
        return try endTag()
      } else {
        return try startTag()
      }
    }
    guard open.isEmpty else { throw Malformed() }
    return nil
  }

  private mutating func startTag() throws(Malformed) -> Event {
    at += 1
    let name = try name()
    guard open.count < Self.depthMax else { throw Malformed() }
    open.append(name)
    // Attributes mean nothing here; a quoted value may contain anything but its quote.
    var quote: UInt8?
    while at < bytes.count {
      let byte = bytes[at]
      at += 1
      if let q = quote {
        if byte == q { quote = nil }
      } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
        quote = byte
      } else if byte == UInt8(ascii: ">") {
        selfClosed = bytes[at - 2] == UInt8(ascii: "/")
        return .start(name)
      } else if byte == UInt8(ascii: "<") {
        throw Malformed()
      }
    }
    throw Malformed()
  }

  private mutating func endTag() throws(Malformed) -> Event {
    at += 2
    let name = try name()
    while at < bytes.count, [9, 10, 13, 32].contains(bytes[at]) { at += 1 }
    guard at < bytes.count, bytes[at] == UInt8(ascii: ">"), open.popLast() == name else { throw Malformed() }
    at += 1
    return .end(name)
  }

  /// A name of ASCII letters, digits and `-._`, behind an optional prefix.
  private mutating func name() throws(Malformed) -> String {
    let start = at
    while at < bytes.count {
      switch bytes[at] {
      case 48...57, 65...90, 97...122, 45, 46, 58, 95: at += 1
      default:
        let parts = bytes[start..<at].split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count <= 2, let local = parts.last, !local.isEmpty else { throw Malformed() }
        return String(decoding: local, as: UTF8.self)
      }
    }
    throw Malformed()
  }

  private mutating func text() throws(Malformed) -> String {
    var text: [UInt8] = []
    while at < bytes.count, bytes[at] != UInt8(ascii: "<") {
      guard bytes[at] == UInt8(ascii: "&") else {
        text.append(bytes[at])
        at += 1
        continue
      }
      guard let end = bytes[at...].prefix(12).firstIndex(of: UInt8(ascii: ";")),
        let scalar = Self.scalar(String(decoding: bytes[(at + 1)..<end], as: UTF8.self))
      else { throw Malformed() }
      text += Array(String(scalar).utf8)
      at = end + 1
    }
    return String(decoding: text, as: UTF8.self)
  }

  private static func scalar(_ reference: String) -> Unicode.Scalar? {
    switch reference {
    case "amp": return "&"
    case "lt": return "<"
    case "gt": return ">"
    case "quot": return "\""
    case "apos": return "'"
    default:
      guard reference.hasPrefix("#") else { return nil }
      let digits = reference.dropFirst()
      guard !digits.contains("+"), !digits.contains("-") else { return nil }
      let value = digits.hasPrefix("x") ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
      return value.flatMap { $0 == 0 ? nil : Unicode.Scalar($0) }
    }
  }

  private func starts(with text: String) -> Bool { bytes[at...].starts(with: text.utf8) }

  private mutating func skip(behind end: String) throws(Malformed) {
    guard let found = bytes[at...].firstRange(of: Array(end.utf8)) else { throw Malformed() }
    at = found.upperBound
  }
}
