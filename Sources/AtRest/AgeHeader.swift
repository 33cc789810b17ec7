// The text at the start of an age file: one stanza for each recipient, each with the file key wrapped its own way, and a
// MAC over all of it. https://c2sp.org/age

struct AgeHeader {
  struct Stanza: Equatable {
    var type: String
    var arguments: [String]
    var body: [UInt8]
  }

  static let intro = Array("age-encryption.org/v1".utf8)
  private static let stanzasMax = 64
  static let bytesMax = 64 << 10
  private static let columns = 64

  var stanzas: [Stanza]
  var mac: [UInt8]
  /// What the MAC is over: everything up to and including the three dashes.
  var authenticated: [UInt8]
  /// Length of the whole header.
  var byteCount: Int

  /// The text of `stanzas` that the MAC is over.
  static func text(_ stanzas: [Stanza]) -> [UInt8] {
    var text = intro + [10]
    for stanza in stanzas {
      text += Array("-> \(([stanza.type] + stanza.arguments).joined(separator: " "))\n".utf8)
      var body = AgeBase64.encode(stanza.body)[...]
      // The last line is shorter than a full one, if need be empty: that is how it is known as the last.
      while body.count >= columns {
        text += body.prefix(columns) + [10]
        body = body.dropFirst(columns)
      }
      text += body + [10]
    }
    return text + Array("---".utf8)
  }

  /// Reads the header at the front of `file`.
  init(front file: [UInt8]) throws(AtRestError) {
    var lines = Lines(rest: file.prefix(Self.bytesMax))
    guard lines.next().map(Array.init) == Self.intro else { throw AtRestError(.damaged, "not an age file") }
    stanzas = []
    while let line = lines.next() {
      if line.starts(with: Array("---".utf8)) {
        guard line.count > 4, line.dropFirst(3).first == 32, let mac = AgeBase64.decode(line.dropFirst(4)),
          mac.count == 32
        else { throw AtRestError(.damaged, "an age header with a strange last line", at: line.startIndex) }
        guard !stanzas.isEmpty else { throw AtRestError(.damaged, "an age file without recipients") }
        self.mac = mac
        authenticated = Array(file[..<(line.startIndex + 3)])
        byteCount = lines.rest.startIndex
        return
      }
      guard stanzas.count < Self.stanzasMax else {
        throw AtRestError(.tooLarge, "an age file with too many recipients")
      }
      stanzas.append(try Self.stanza(line, &lines))
    }
    throw AtRestError(.damaged, "an age header without an end", at: min(file.count, Self.bytesMax))
  }

  private static func stanza(_ line: ArraySlice<UInt8>, _ lines: inout Lines) throws(AtRestError) -> Stanza {
    let words = line.split(separator: 32, omittingEmptySubsequences: false)
    guard words.count >= 2, words[0].elementsEqual("->".utf8),
      words.allSatisfy({ !$0.isEmpty && $0.allSatisfy { (33...126).contains($0) } })
    else { throw AtRestError(.damaged, "an age header with a strange line", at: line.startIndex) }
    var body: [UInt8] = []
    while let part = lines.next() {
      guard part.count <= columns, let bytes = AgeBase64.decode(part) else {
        throw AtRestError(.damaged, "an age stanza with a strange body", at: part.startIndex)
      }
      body += bytes
      if part.count < columns {
        let text = words.dropFirst().map { String(decoding: $0, as: UTF8.self) }
        return Stanza(type: text[0], arguments: Array(text.dropFirst()), body: body)
      }
    }
    throw AtRestError(.damaged, "an age stanza without an end", at: line.startIndex)
  }

  /// Lines that end in a line feed; what follows the last one is no line.
  private struct Lines {
    var rest: ArraySlice<UInt8>

    mutating func next() -> ArraySlice<UInt8>? {
      guard let end = rest.firstIndex(of: 10) else { return nil }
      defer { rest = rest[(end + 1)...] }
      return rest[..<end]
    }
  }
}
