// JSON objects of one level in one exact form: a member a line, in a fixed order. What is read is written again and
// compared, so there is no second way to say the same thing and no parser for other people's JSON.

import Base

package struct FlatJSON: Equatable, Sendable {
  package enum Value: Equatable, Sendable {
    case null
    case integer(Int64)
    /// Printable ASCII without quotes and backslashes.
    case text(String)
  }

  package var members: [(name: String, value: Value)]

  package init(_ members: [(name: String, value: Value)]) { self.members = members }

  package static func == (a: FlatJSON, b: FlatJSON) -> Bool { a.lines == b.lines }

  /// `  "name": value`, without commas.
  package var lines: [String] {
    members.map { name, value in
      switch value {
      case .null: "  \"\(name)\": null"
      case .integer(let number): "  \"\(name)\": \(number)"
      case .text(let text): "  \"\(name)\": \"\(text)\""
      }
    }
  }

  package var object: String { "{\n" + lines.joined(separator: ",\n") + "\n}\n" }

  /// Reads what `object` gives.
  package init?(object: String) {
    guard object.hasPrefix("{\n"), object.hasSuffix("\n}\n") else { return nil }
    let inner = object.dropFirst(2).dropLast(3)
    self.init(
      lines: inner.split(separator: "\n", omittingEmptySubsequences: false).map { line in
        String(line.hasSuffix(",") ? line.dropLast() : line)
      })
    guard self.object == object else { return nil }
  }

  /// Reads what `lines` gives.
  package init?(lines: [String]) {
    members = []
    for line in lines {
      guard line.hasPrefix("  \""), let colon = line.firstRange(of: "\": ") else { return nil }
      let name = String(line[line.index(line.startIndex, offsetBy: 3)..<colon.lowerBound])
      guard let value = Self.value(line[colon.upperBound...]) else { return nil }
      members.append((name, value))
    }
    guard self.lines == lines, Set(members.map(\.name)).count == members.count else { return nil }
  }

  private static func value(_ text: Substring) -> Value? {
    if text == "null" { return .null }
    if let number = Int64(text) { return .integer(number) }
    guard text.utf8.count >= 2, text.hasPrefix("\""), text.hasSuffix("\"") else { return nil }
    let inner = text.dropFirst().dropLast()
    guard inner.utf8.allSatisfy({ (0x20...0x7E).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") })
    else { return nil }
    return .text(String(inner))
  }

  // MARK: members

  package subscript(_ name: String) -> Value? { members.first { $0.name == name }?.value }

  package func text(_ name: String) -> String? { if case .text(let text)? = self[name] { text } else { nil } }

  package func count(_ name: String) -> UInt64? {
    if case .integer(let number)? = self[name], number >= 0 { UInt64(number) } else { nil }
  }

  /// Bytes in hexadecimal digits, `count` of them.
  package func bytes(_ name: String, _ count: Int) -> [UInt8]? {
    guard let bytes = text(name).flatMap({ [UInt8](hex: $0) }), bytes.count == count else { return nil }
    return bytes
  }
}

extension FlatJSON.Value {
  package init(_ text: String?) { self = text.map { .text($0) } ?? .null }
  package init(_ count: UInt64) { self = .integer(Int64(clamping: count)) }
}
