// `komora restore undo JOB`: the account as it was right before a restore in place. A part of `RestoreCommand` and no command
// of its own: the parser gives a subcommand's options to the command above it when both have them.

struct RestoreUndo {
  let job: String
  /// Where no node remembers the job any more.
  let account: String?
  let dryRun: Bool
  let yes: Bool

  func run(_ connection: ConnectionOptions) async throws {
    let (path, json) = ("/v1/restores/\(job.pathSegment)/undo", connection.json)
    let result = try await APIClient.with(connection) { client in
      func run(dryRun: Bool) async throws -> JSONValue {
        var body: [String: JSONValue] = ["dry_run": .boolean(dryRun)]
        if let account { body["account"] = .text(account) }
        let started = try await client.post(path, .object(body))
        return try await client.wait(started, dryRun ? "plan" : "undo", json: json)["result"] ?? .null
      }
      if dryRun || yes { return try await run(dryRun: dryRun) }
      let plan = try await run(dryRun: true)
      let name = plan["account"]?.text ?? account ?? ""
      let later = plan["later_transactions"]?.text ?? "0"
      try InPlaceConsent.ask(
        name, "\(later) writes came behind the restore of account \(name) and go with it. Take it back?", yes: false)
      return try await run(dryRun: false)
    }
    guard !json else { return Terminal.line(result.encoded(pretty: false)) }
    Show.object(result, RestoreCommand.members, json: false)
    if let later = result["later_transactions"]?.text, later != "0" {
      Terminal.note(
        "\(later) writes that came behind the restore \(dryRun ? "would go" : "went"); they stay restorable")
    }
    if let job = result["undo"]?.text { Terminal.note("to take it back: komora restore undo \(job)") }
  }
}
