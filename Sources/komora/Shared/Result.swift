// How a command shows what it got: JSON, or the named members as a table or as lines.

enum Show {
  /// One object: a line a member, in the order given; then what else it has is left to `--json`.
  static func object(_ value: JSONValue, _ members: [(title: String, name: String)], json: Bool) {
    guard !json else { return Terminal.line(value.encoded(pretty: true)) }
    let shown = members.filter { value[$0.name] != nil }
    let width = shown.map(\.title.count).max() ?? 0
    for (title, name) in shown {
      let padding = String(repeating: " ", count: width - title.count)
      Terminal.line("\(title)\(padding)  \(cell(value, name))")
    }
  }

  /// A list of objects under `name`, or the list itself.
  static func list(_ value: JSONValue, under name: String, _ columns: [(title: String, name: String)], json: Bool) {
    guard !json else { return Terminal.line(value.encoded(pretty: true)) }
    let rows = (value[name]?.list ?? value.list ?? []).map { row in columns.map { cell(row, $0.name) } }
    Terminal.line(rows.isEmpty ? "none" : Terminal.table(columns.map(\.title), rows))
  }

  private static func cell(_ value: JSONValue, _ name: String) -> String {
    guard let member = value[name] else { return "-" }
    // Sizes are shown for people; JSON has the number.
    if name == "bytes" || name.hasSuffix("_bytes"), let count = member.integer { return Terminal.bytes(count) }
    return member.shown
  }
}
