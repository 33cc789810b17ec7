// `komora diff --account A X [Y]`: what differs between two states of an account.

import ArgumentParser

struct DiffCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Say what differs between two snapshots, or a snapshot and the live account.",
    discussion: """
      X and Y are each a snapshot's id (`komora snapshot list`) or `live`; without Y the live account is compared with X.
      Rows are told apart by their primary key, by their rowid where a table has none. `-` is what only X has, `+` what
      only Y has, `~` what both have otherwise. It ends with 0 whether or not something differs.
      """)

  @OptionGroup var account: AccountOption

  @Argument(help: "A snapshot's id, or live.")
  var from: String

  @Argument(help: "Likewise.")
  var to = "live"

  @Flag(help: "List keys of rows with the columns that differ, and keys of recordings.")
  var rows = false

  @Option(help: "How many rows, and how many recordings, --rows lists: 1 to 10000.")
  var limit = 1000

  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    guard 1...10_000 ~= limit else { throw ValidationError("--limit is from 1 to 10000.") }
  }

  func run() async throws {
    let request = JSONValue.object([
      "from": .text(from), "to": .text(to), "listed": .integer(rows ? Int64(limit) : 0),
    ])
    let job = try await APIClient.with(connection) { client in
      let started = try await client.post("\(account.path)/diff", request)
      return try await client.wait(started, "diff", json: connection.json)
    }
    let (result, diff) = (job["result"] ?? .null, job["diff"] ?? .null)
    guard !connection.json else {
      let both = (result.object ?? [:]).merging(diff.object ?? [:]) { $1 }
      return Terminal.line(JSONValue.object(both).encoded(pretty: false))
    }
    Self.show(result, diff, listed: rows)
  }

  private static func show(_ result: JSONValue, _ diff: JSONValue, listed: Bool) {
    for side in ["from", "to"] {
      let title = side == "from" ? "from  " : "to    "
      let taken = result["\(side)_created_at"]?.text.map { "  \($0)" } ?? ""
      Terminal.line("\(title)\(result[side]?.shown ?? "-")  at \(result["\(side)_position"]?.shown ?? "-")\(taken)")
    }
    guard diff["identical"]?.boolean != true else { return Terminal.line("nothing differs") }
    showTables(diff)
    for change in diff["schema"]?.list ?? [] {
      Terminal.line("\(sign(change)) \(text(change["kind"])) \(text(change["name"]))")
    }
    guard listed else { return }
    for row in diff["listed_rows"]?.list ?? [] {
      let key = (row["key"]?.list ?? []).map { text($0) }.joined(separator: ", ")
      let columns = row["columns"]?.list ?? []
      let differing = columns.isEmpty ? "" : "  (\(columns.map { text($0) }.joined(separator: ", ")))"
      Terminal.line("\(sign(row)) \(text(row["table"]))  \(key)\(differing)")
    }
    for recording in diff["listed_recordings"]?.list ?? [] {
      Terminal.line("\(sign(recording)) recording  \(text(recording["key"]))")
    }
    if diff["cut"]?.boolean == true { Terminal.note("more differs than is listed: see --limit") }
  }

  private static func showTables(_ diff: JSONValue) {
    var lines: [[String]] = []
    for table in diff["tables"]?.list ?? [] {
      let rows = table["rows"] ?? .null
      lines.append(
        [text(table["name"])] + ["added", "removed", "changed"].map { rows[$0]?.shown ?? "0" } + [remark(table)])
    }
    if let recordings = diff["recordings"], recordings.object?.values.contains(where: { $0.integer != 0 }) == true {
      let described = recordings["described"]?.integer ?? 0
      lines.append(
        ["recordings"] + ["added", "removed", "replaced"].map { recordings[$0]?.shown ?? "0" }
          + [described == 0 ? "" : "\(described) described otherwise"])
    }
    if !lines.isEmpty { Terminal.line(Terminal.table(["TABLE", "ADDED", "REMOVED", "CHANGED", ""], lines)) }
  }

  private static func remark(_ table: JSONValue) -> String {
    var words: [String] = []
    switch table["change"]?.text {
    case "added": words.append("new table")
    case "removed": words.append("table is gone")
    default: break
    }
    for (member, sign) in [("columns_added", "+"), ("columns_removed", "-")] {
      words += (table[member]?.list ?? []).map { "\(sign)\(text($0))" }
    }
    if let note = table["note"]?.text { words.append(note) }
    return words.joined(separator: ", ")
  }

  private static func text(_ value: JSONValue?) -> String { ShownText.safe(value) }

  private static func sign(_ difference: JSONValue) -> String {
    switch difference["change"]?.text {
    case "added": "+"
    case "removed": "-"
    default: "~"
    }
  }
}
