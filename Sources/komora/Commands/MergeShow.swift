// What a merge or its undo did, for people or as JSON; the report is shown when it was refused, too.

enum MergeShow {
  static func run(
    _ path: String, _ body: [String: JSONValue], _ title: String, _ connection: ConnectionOptions
  ) async throws {
    let request = JSONValue.object(body)
    let (job, failure) = try await APIClient.with(connection) { client -> (JSONValue, CommandFailure?) in
      let started = try await client.post(path, request)
      do {
        return (try await client.wait(started, title, json: connection.json), nil)
      } catch let failure as CommandFailure where failure.kind == .refused {
        // Why, row by row.
        guard let id = started["id"]?.text else { throw failure }
        return (try await client.get("/v1/jobs/\(id.pathSegment)"), failure)
      }
    }
    let (result, report) = (job["result"] ?? .null, job["merge"] ?? .null)
    if connection.json {
      var all = (report.object ?? [:]).merging(result.object ?? [:]) { $1 }
      // A refused merge has no result; what it would have named stays in the report.
      if failure != nil { all["refused"] = .boolean(true) }
      if let recordings = report["recordings"] { all["recordings_report"] = recordings }
      Terminal.line(JSONValue.object(all).encoded(pretty: false))
    } else {
      show(result, report, isRefused: failure != nil)
    }
    if let failure { throw failure }
  }

  private static func show(_ result: JSONValue, _ report: JSONValue, isRefused: Bool) {
    if !isRefused {
      Show.object(
        result,
        [
          ("merge", "merge"), ("from", "from"), ("of", "from_created_at"), ("position", "from_position"),
          ("dry run", "dry_run"), ("done before", "replayed"), ("inserted", "inserted"), ("changed", "changed"),
          ("removed", "removed"), ("equal", "equal"), ("conflicts", "conflicts"), ("recordings", "recordings"),
          ("of them", "recording_bytes"), ("erased", "erased"),
        ], json: false)
    }
    for table in report["tables"]?.list ?? [] { notes(table) }
    for conflict in report["conflicts"]?.list ?? [] {
      let key = (conflict["key"]?.list ?? []).map { ShownText.safe($0) }.joined(separator: ", ")
      Terminal.line("! \(conflict["table"].map { ShownText.safe($0) } ?? "recording")  \(key)\(text(conflict))")
    }
    for key in report["erased"]?.list ?? [] { Terminal.line("- erased  \(ShownText.safe(key))") }
    if report["cut"]?.boolean == true { Terminal.note("there is more than is listed: see --limit") }
  }

  private static func text(_ conflict: JSONValue) -> String {
    if let reason = conflict["reason"]?.text { return "  \(ShownText.safe(.text(reason)))" }
    let differences = (conflict["differences"]?.list ?? []).map { difference in
      "\(ShownText.safe(difference["column"])): then \(ShownText.safe(difference["then"])), "
        + "now \(ShownText.safe(difference["now"]))"
    }
    return differences.isEmpty ? "" : "  (\(differences.joined(separator: "; ")))"
  }

  private static func notes(_ table: JSONValue) {
    let name = ShownText.safe(table["name"])
    func list(_ member: String, _ words: String) {
      let names = (table[member]?.list ?? []).map { ShownText.safe($0) }
      if !names.isEmpty { Terminal.note("\(name): \(words) \(names.joined(separator: ", "))") }
    }
    if table["made"]?.boolean == true {
      Terminal.note("\(name): the table was gone and is made again, without triggers")
    }
    if table["dropped"]?.boolean == true { Terminal.note("\(name): the table that the merge made is dropped") }
    list("columns_then", "columns that are gone now, whose values are left out:")
    list("columns_now", "columns that came since, which have their defaults:")
    list("triggers", "triggers that did not fire:")
    list("indexes_left_out", "indexes whose names are taken now:")
  }
}

/// Names and values that come from the account: nothing in them may move the cursor or turn the line around.
enum ShownText {
  static func safe(_ value: JSONValue?) -> String {
    var text = ""
    for scalar in (value?.text ?? "").unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator: text += "\\u{\(String(scalar.value, radix: 16))}"
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text
  }
}
