// Names and labels in the form that Prometheus takes.

enum MetricNames {
  /// `[a-zA-Z_:][a-zA-Z0-9_:]*`; every other character becomes an underscore.
  static func metric(_ name: String) -> String { legal(name, colon: true) }
  /// `[a-zA-Z_][a-zA-Z0-9_]*`, and never `__…`, which is reserved.
  static func label(_ name: String) -> String {
    let name = legal(name, colon: false)
    return name.hasPrefix("__") ? "x" + name : name
  }

  private static func legal(_ name: String, colon: Bool) -> String {
    var bytes = name.utf8.map { byte -> UInt8 in
      switch byte {
      case 48...57, 65...90, 97...122, 95: byte
      case 58 where colon: byte
      default: 95
      }
    }
    if bytes.isEmpty || (48...57).contains(bytes[0]) { bytes.insert(95, at: 0) }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// Labels of one series, sorted by name; of two with the same name the last counts.
struct MetricLabels: Hashable, Sendable {
  struct Pair: Hashable, Sendable {
    var name: String
    var value: String
  }
  let pairs: [Pair]

  init(_ labels: [(String, String)]) {
    var byName: [String: String] = [:]
    for (name, value) in labels { byName[MetricNames.label(name)] = value }
    pairs = byName.sorted { $0.key < $1.key }.map { Pair(name: $0.key, value: $0.value) }
  }

  /// `{a="1",b="2"}` with `extra` behind the rest; empty without labels.
  func text(_ extra: (name: String, value: String)? = nil) -> String {
    var parts = pairs.map { "\($0.name)=\"\(Self.escape($0.value))\"" }
    if let extra { parts.append("\(extra.name)=\"\(extra.value)\"") }
    return parts.isEmpty ? "" : "{" + parts.joined(separator: ",") + "}"
  }

  /// Backslash, quote and line feed: the same three in Prometheus' text and in OpenMetrics.
  static func escape(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": escaped += "\\\\"
      case "\"": escaped += "\\\""
      case "\n": escaped += "\\n"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
