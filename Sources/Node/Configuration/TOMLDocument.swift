// The part of TOML 1.0 that configurations and profiles are written in: tables of one level, bare or quoted keys,
// strings of one line, whole numbers, booleans, and lists of these, over several lines where wanted.
//
// Every value knows its line, which general readers do not tell for values that are well formed but wrong. What TOML
// has beyond this part (dates, floats, nested tables, strings of several lines) is refused by name and line: no key of
// ours takes it. Names defined twice are refused, as TOML wants.

package struct TOMLDocument: Sendable, Equatable {
  package enum Value: Sendable, Equatable {
    case text(String)
    case number(Int)
    case boolean(Bool)
    case list([Value])

    package var text: String? { if case .text(let text) = self { text } else { nil } }
    package var texts: [String]? {
      guard case .list(let values) = self else { return nil }
      let texts = values.compactMap(\.text)
      return texts.count == values.count ? texts : nil
    }
  }

  package struct Entry: Sendable, Equatable {
    package var section: String
    package var name: String
    package var value: Value
    /// From 1; where the name stands.
    package var line: Int
  }

  /// In the order of the text. Names before the first header have the section "".
  package private(set) var entries: [Entry] = []
  /// Headers with their lines, in order.
  package private(set) var sections: [(name: String, line: Int)] = []

  package init(_ text: String, source: String = "") throws(ConfigurationError) {
    var scanner = TOMLScanner(text, source: source)
    var section = ""
    while try scanner.skipToContent() {
      let line = scanner.line
      if scanner.take("[") {
        section = try scanner.header()
        guard !sections.contains(where: { $0.name == section }) else {
          throw scanner.error("section [\(section)] stands here a second time", line: line)
        }
        sections.append((section, line))
      } else {
        let name = try scanner.key()
        try scanner.expectEquals()
        let entry = Entry(section: section, name: name, value: try scanner.value(), line: line)
        guard !entries.contains(where: { $0.section == section && $0.name == name }) else {
          throw scanner.error("`\(name)` stands here a second time", line: line)
        }
        entries.append(entry)
      }
      try scanner.expectEndOfLine()
    }
  }

  package subscript(_ section: String, _ name: String) -> Value? {
    entries.first { $0.section == section && $0.name == name }?.value
  }

  package static func == (a: TOMLDocument, b: TOMLDocument) -> Bool { a.entries == b.entries }
}
