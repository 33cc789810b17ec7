// Reads a configuration: the file's text, then the environment, which wins. Everything unknown or of the wrong kind is
// refused with its place.

struct ConfigurationReader {
  private var values: [String: ConfigurationValue] = [:]
  private let source: String

  /// `environment` is the whole environment; only `KOMORA_<SECTION>_…` of known sections is looked at.
  init(text: String, source: String, environment: [String: String]) throws(ConfigurationError) {
    self.source = source
    for key in ConfigurationSchema.keys {
      guard let standard = key.standard else { continue }
      values[key.path] = try Self.value(text: standard, key, source: "default", line: nil)
    }
    try read(text)
    try read(environment)
  }

  subscript(_ path: String) -> ConfigurationValue? { values[path] }

  private mutating func read(_ text: String) throws(ConfigurationError) {
    let document = try TOMLDocument(text, source: source)
    for section in document.sections where !ConfigurationSchema.sections.contains(section.name) {
      throw unknown(section.name, "section", among: ConfigurationSchema.sections, line: section.line)
    }
    for entry in document.entries {
      guard !entry.section.isEmpty else {
        throw ConfigurationError("`\(entry.name)` stands before any [section]", source: source, line: entry.line)
      }
      guard let key = ConfigurationSchema.key(entry.section, entry.name) else {
        let known = ConfigurationSchema.keys.filter { $0.section == entry.section }.map(\.name)
        throw unknown(entry.name, "key in [\(entry.section)]", among: known, line: entry.line)
      }
      values[key.path] = try Self.value(toml: entry.value, key, source: source, line: entry.line)
    }
  }

  private mutating func read(_ environment: [String: String]) throws(ConfigurationError) {
    for (variable, text) in environment.sorted(by: { $0.key < $1.key }) {
      let section = ConfigurationSchema.sections.first { variable.hasPrefix("KOMORA_\($0.uppercased())_") }
      guard let section else { continue }
      guard let key = ConfigurationSchema.keys.first(where: { $0.variable == variable }) else {
        let known = ConfigurationSchema.keys.filter { $0.section == section }.map(\.variable)
        let near = NearestName.find(variable, among: known).map { ": did you mean \($0)?" } ?? ""
        throw ConfigurationError("unknown variable\(near)", source: variable)
      }
      values[key.path] = try Self.value(text: text, key, source: variable, line: nil)
    }
  }

  private func unknown(_ name: String, _ what: String, among known: [String], line: Int?) -> ConfigurationError {
    let near = NearestName.find(name, among: known).map { ": did you mean `\($0)`?" } ?? ""
    return ConfigurationError("unknown \(what) `\(name)`\(near)", source: source, line: line)
  }

  private static func value(
    toml value: TOMLDocument.Value, _ key: ConfigurationKey, source: String, line: Int
  ) throws(ConfigurationError) -> ConfigurationValue {
    switch (key.kind, value) {
    case (.texts, _):
      if let texts = value.texts { return .texts(texts) }
      throw ConfigurationError("`\(key.path)` wants a list of texts", source: source, line: line)
    case (.boolean, .boolean(let flag)): return .boolean(flag)
    case (.count, .number(let number)):
      return try Self.value(text: String(number), key, source: source, line: line)
    case (.boolean, _), (.count, _): break
    case (_, .text(let text)): return try Self.value(text: text, key, source: source, line: line)
    default: break
    }
    throw ConfigurationError("`\(key.path)` wants \(expectation(key.kind))", source: source, line: line)
  }

  private static func value(
    text: String, _ key: ConfigurationKey, source: String, line: Int?
  ) throws(ConfigurationError) -> ConfigurationValue {
    let value: ConfigurationValue? =
      switch key.kind {
      case .text: .text(text)
      case .texts: .texts(text.split(separator: ",").map { String($0.drop { $0 == " " }) })
      case .boolean: ["true": .boolean(true), "false": .boolean(false)][text]
      case .count(let range): Int(text).flatMap { range.contains($0) ? .number($0) : nil }
      case .duration: Quantity.duration(text).map { .duration($0) }
      case .optionalDuration: text == "profile" ? .text(text) : Quantity.duration(text).map { .duration($0) }
      case .size: Quantity.size(text).map { .number($0) }
      case .timeOfDay: Quantity.timeOfDay(text).map { .number($0) }
      case .address: ListenAddress(text).map { .address($0) }
      case .choice(let known): known.contains(text) ? .text(text) : nil
      }
    guard let value else {
      var message = "`\(key.path)` wants \(expectation(key.kind)), not \"\(text)\""
      if case .choice(let known) = key.kind, let near = NearestName.find(text, among: known) {
        message += ": did you mean \"\(near)\"?"
      }
      throw ConfigurationError(message, source: source, line: line)
    }
    return value
  }

  private static func expectation(_ kind: ConfigurationKey.Kind) -> String {
    switch kind {
    case .text: "a text"
    case .texts: "texts with commas between"
    case .boolean: "true or false"
    case .count(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
    case .duration: "a duration such as \(Quantity.durationExamples)"
    case .optionalDuration: "\"profile\" or a duration such as \(Quantity.durationExamples)"
    case .size: "a size such as \(Quantity.sizeExamples)"
    case .timeOfDay: "a time of day such as \"02:30\""
    case .address: "an address such as \"127.0.0.1:7400\" or \"[::1]:7400\""
    case .choice(let known): "one of " + known.map { "\"\($0)\"" }.joined(separator: ", ")
    }
  }
}
