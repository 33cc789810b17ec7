// `komora restore undo JOB`: the account as it was right before a restore in place.

import ArgumentParser

struct RestoreUndoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "undo", abstract: "Take a restore in place back.",
    discussion: """
      Brings the account back as it was right before the restore. What was written since goes, and is told first; it stays \
      restorable like every moment, and an undo can itself be undone.
      """)

  @Argument(help: "The id that the restore gave.")
  var job: String

  @Option(help: "The account, where no node remembers the job any more.")
  var account: String?

  @Flag(help: "Print the plan and change nothing.")
  var dryRun = false

  @Flag(help: "Do not ask.")
  var yes = false

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
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
