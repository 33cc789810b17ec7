// `komora restore`: an account from a snapshot, by a node or, with --offline, from archive files alone.

import ArgumentParser

struct RestoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore", abstract: "Rebuild an account from a snapshot.",
    discussion: """
      komora restore --account A (--snapshot ID | --latest) --as NEW [--dry-run]
      komora restore --offline --archive DIR --recovery FILE [--identity F | --passphrase-file F] --out DIR
      """)

  @Option(help: "The account whose archive is read.")
  var account: String?

  @Option(help: "The snapshot's id.")
  var snapshot: String?

  @Flag(help: "The newest snapshot.")
  var latest = false

  @Option(name: .customLong("as"), help: "Name of the account that is made; it must not exist.")
  var target: String?

  @Flag(help: "Print the plan and change nothing.")
  var dryRun = false

  @OptionGroup var offline: OfflineRestoreOptions
  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    if offline.offline {
      guard account == nil, snapshot == nil, !latest, target == nil, !dryRun else {
        throw ValidationError("--offline goes with --archive, --recovery, --at, --expect and --out only.")
      }
      try offline.check()
    } else {
      guard account != nil, target != nil, (snapshot != nil) != latest else {
        throw ValidationError("Give --account, either --snapshot or --latest, and --as.")
      }
    }
  }

  func run() async throws {
    if offline.offline { return try await offline.run(json: connection.json) }
    var body: [String: JSONValue] = [
      "account": .text(account ?? ""), "as": .text(target ?? ""), "dry_run": .boolean(dryRun),
    ]
    if let snapshot { body["snapshot"] = .text(snapshot) }
    let request = JSONValue.object(body)
    let result = try await APIClient.with(connection) { client in
      let started = try await client.post("/v1/restores", request)
      return try await client.wait(started, dryRun ? "plan" : "restore", json: connection.json)["result"] ?? .null
    }
    if connection.json {
      Terminal.line(result.encoded(pretty: false))
    } else {
      Show.object(result, Self.members, json: false)
    }
  }

  private static let members: [(title: String, name: String)] = [
    ("account", "account"), ("would create", "would_create"), ("snapshot", "snapshot"), ("taken", "created_at"),
    ("state", "state"), ("position", "position"), ("source", "source"), ("size", "bytes"),
    ("database", "database_bytes"), ("recordings", "recordings"), ("of them", "recording_bytes"), ("erased", "erased"),
    ("missing chunks", "missing_chunks"),
  ]
}
