// `komora restore`: an account from a snapshot, by a node or, with --offline, from archive files alone.

import ArgumentParser
import Backup
import Base
import ShardStore

struct RestoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore", abstract: "Rebuild an account from a snapshot, or as it was at a moment.",
    discussion: """
      komora restore --account A (--snapshot ID | --at TIME | --latest) (--as NEW | --in-place) [--only PATTERN…] [--dry-run]
      komora restore undo JOB [--dry-run]
      komora restore --offline --archive DIR --recovery FILE [--identity F | --passphrase-file F] [--at TIME] \
      [--only PATTERN…] --out DIR

      A moment is the newest state that is not after TIME: a snapshot and the archived log behind it, up to the last \
      whole transaction. --in-place makes the account itself what it was: rows and recordings in one step, while it goes \
      on; what it was before stays restorable, and `komora restore undo JOB` brings it back. With --only the new account, \
      or the files, hold the chosen rows and recordings alone; tables, indexes, views and triggers are declared as they \
      were. `komora merge` brings chosen rows back into the account itself.

      \(SelectionHelp.text)
      """)

  @Argument(help: "`undo JOB` takes a restore in place back; the restore gave the id.")
  var words: [String] = []

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

  @Flag(help: "Make the account itself what it was, instead of a new one.")
  var inPlace = false

  @Flag(help: "Print the plan and change nothing.")
  var dryRun = false

  @Option(help: "Only these rows and recordings; may be given several times. See `komora merge --help`.")
  var only: [String] = []

  @OptionGroup var offline: OfflineRestoreOptions
  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    guard words.isEmpty else {
      let isAlone =
        snapshot == nil && at == nil && target == nil && only.isEmpty && !latest && !inPlace && !offline.offline
      guard words.count == 2, words[0] == "undo", isAlone else {
        throw ValidationError(
          "To take a restore in place back: komora restore undo JOB [--account A] [--dry-run] [--yes]")
      }
      return
    }
    guard only.isEmpty || !inPlace else {
      throw ValidationError(
        "--only goes with --as or --offline: komora merge brings chosen rows back into the account itself.")
    }
    if !only.isEmpty {
      do throws(BackupError) { _ = try RowSelection(only) } catch { throw ValidationError("--only: \(error.message).") }
    }
    if offline.offline {
      guard account == nil, snapshot == nil, !latest, target == nil, !dryRun, !inPlace else {
        throw ValidationError("--offline goes with --archive, --recovery, --at, --expect and --out only.")
      }
      try offline.check()
    } else {
      let points = [snapshot != nil, at != nil, latest].count { $0 }
      guard account != nil, (target != nil) != inPlace, points == 1 else {
        throw ValidationError("Give --account, one of --snapshot, --at and --latest, and either --as or --in-place.")
      }
    }
  }

  func run() async throws {
    if let job = words.last {
      return try await RestoreUndo(job: job, account: account, dryRun: dryRun, yes: offline.yes).run(connection)
    }
    if offline.offline { return try await offline.run(json: connection.json, at: at, only: only) }
    var body: [String: JSONValue] = ["account": .text(account ?? ""), "dry_run": .boolean(dryRun)]
    if let target { body["as"] = .text(target) }
    if inPlace { body["in_place"] = .boolean(true) }
    if latest { body["latest"] = .boolean(true) }
    if !only.isEmpty { body["only"] = .list(only.map { .text($0) }) }
    if let snapshot { body["snapshot"] = .text(snapshot) }
    if let at {
      _ = try Self.moment(at)
      body["at"] = .text(at)
    }
    if inPlace, !dryRun {
      try InPlaceConsent.ask(
        account ?? "", "Make account \(account ?? "") what it was, in place? What it is now can be brought back.",
        yes: offline.yes)
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
      if let job = result["undo"]?.text { Terminal.note("to take it back: komora restore undo \(job)") }
    }
  }

  static func moment(_ text: String) throws(CommandFailure) -> UnixMicroseconds {
    if text == "now" { return SystemClock().unixMicroseconds() }
    guard let moment = RFC3339.moment(text) else {
      throw CommandFailure(.usage, "--at wants a time such as 2026-01-31T12:00:00Z")
    }
    return moment
  }

  static let members: [(title: String, name: String)] = [
    ("undoes", "undoes"), ("later writes", "later_transactions"), ("restored", "restored"),
    ("account", "account"), ("would create", "would_create"), ("snapshot", "snapshot"), ("taken", "created_at"),
    ("state", "state"), ("moment", "at"), ("log records", "log_records"), ("log bytes", "log_bytes"),
    ("position", "position"), ("source", "source"), ("size", "bytes"),
    ("database", "database_bytes"), ("recordings", "recordings"), ("of them", "recording_bytes"), ("erased", "erased"),
    ("missing chunks", "missing_chunks"), ("pages that differ", "changed_pages"), ("in bytes", "changed_bytes"),
    ("rows added", "rows_added"), ("rows removed", "rows_removed"), ("rows changed", "rows_changed"),
    ("recordings back", "recordings_returning"), ("from the archive", "recordings_from_archive"),
    ("recordings that go", "recordings_vanishing"), ("before", "before"), ("undo", "undo"),
    ("not archived yet", "archive_failure"), ("chosen rows", "only_rows"), ("left out", "left_out"),
  ]
}
