// `komora restore`: an account from a snapshot, by a node or, with --offline, from archive files alone.

import ArgumentParser
import Backup
import Base
import ShardStore

struct RestoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore", abstract: "Rebuild an account from a snapshot, or as it was at a moment.",
    discussion: """
      komora restore --account A (--snapshot ID | --at TIME | --latest) --as NEW [--only PATTERN…] [--dry-run]
      komora restore --offline --archive DIR --recovery FILE [--identity F | --passphrase-file F] [--at TIME] [--only PATTERN…] \
      --out DIR

      A moment is the newest state that is not after TIME: a snapshot and the archived log behind it, up to the last \
      whole transaction. With --only the new account, or the files, hold the chosen rows and recordings alone; tables, \
      indexes, views and triggers are declared as they were.

      \(SelectionHelp.text)
      """)

  @Option(help: "The account whose archive is read.")
  var account: String?

  @Option(help: "The snapshot's id.")
  var snapshot: String?

  @Flag(help: "The newest snapshot.")
  var latest = false

  @Option(
    help: "The account as it was at this moment, such as 2026-01-31T12:00:00Z or 2026-01-31T14:00:00.25+02:00, or now.")
  var at: String?

  @Option(name: .customLong("as"), help: "Name of the account that is made; it must not exist.")
  var target: String?

  @Flag(help: "Print the plan and change nothing.")
  var dryRun = false

  @Option(help: "Only these rows and recordings; may be given several times. See `komora merge --help`.")
  var only: [String] = []

  @OptionGroup var offline: OfflineRestoreOptions
  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    if !only.isEmpty {
      do throws(BackupError) { _ = try RowSelection(only) } catch { throw ValidationError("--only: \(error.message).") }
    }
    if offline.offline {
      guard account == nil, snapshot == nil, !latest, target == nil, !dryRun else {
        throw ValidationError("--offline goes with --archive, --recovery, --at, --expect and --out only.")
      }
      try offline.check()
    } else {
      let points = [snapshot != nil, at != nil, latest].count { $0 }
      guard account != nil, target != nil, points == 1 else {
        throw ValidationError("Give --account, one of --snapshot, --at and --latest, and --as.")
      }
    }
  }

  func run() async throws {
    if offline.offline { return try await offline.run(json: connection.json, at: at, only: only) }
    var body: [String: JSONValue] = [
      "account": .text(account ?? ""), "as": .text(target ?? ""), "dry_run": .boolean(dryRun),
    ]
    if !only.isEmpty { body["only"] = .list(only.map { .text($0) }) }
    if let snapshot { body["snapshot"] = .text(snapshot) }
    if let at {
      _ = try Self.moment(at)
      body["at"] = .text(at)
    }
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

  static func moment(_ text: String) throws(CommandFailure) -> UnixMicroseconds {
    if text == "now" { return SystemClock().unixMicroseconds() }
    guard let moment = RFC3339.moment(text) else {
      throw CommandFailure(.usage, "--at wants a time such as 2026-01-31T12:00:00Z")
    }
    return moment
  }

  private static let members: [(title: String, name: String)] = [
    ("account", "account"), ("would create", "would_create"), ("snapshot", "snapshot"), ("taken", "created_at"),
    ("state", "state"), ("moment", "at"), ("log records", "log_records"), ("log bytes", "log_bytes"),
    ("position", "position"), ("source", "source"), ("size", "bytes"),
    ("database", "database_bytes"), ("recordings", "recordings"), ("of them", "recording_bytes"), ("erased", "erased"),
    ("missing chunks", "missing_chunks"), ("chosen rows", "only_rows"), ("left out", "left_out"),
  ]
}
