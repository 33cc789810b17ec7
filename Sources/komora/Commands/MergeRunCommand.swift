// `komora merge --account A --from … --only …`

import ArgumentParser
import Backup

struct MergeRunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Bring chosen rows and recordings back; what `komora merge` does.",
    discussion: SelectionHelp.text)

  @OptionGroup var account: AccountOption

  @Option(help: "The old state: a snapshot's id, or a moment such as 2026-01-31T12:00:00Z.")
  var from: String

  @Option(help: "What comes back; may be given several times.")
  var only: [String]

  @OptionGroup var conflicts: ConflictOptions
  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    try conflicts.check()
    do throws(BackupError) { _ = try RowSelection(only) } catch { throw ValidationError("--only: \(error.message).") }
  }

  func run() async throws {
    var body = conflicts.members
    body["from"] = .text(from)
    body["only"] = .list(only.map { .text($0) })
    try await MergeShow.run("\(account.path)/merges", body, "merge", connection)
  }
}

struct MergeUndoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "undo", abstract: "Take back what a merge did, where nothing changed since.",
    discussion: "Known for as long as the archive's window (timers.retention, 7 days). Once for each merge.")

  @Argument(help: "The merge, as `komora merge` named it: the id of its job.")
  var job: String

  @Option(help: "The account's name; without it the job says it, as long as its node remembers the job.")
  var account: String?

  @OptionGroup var conflicts: ConflictOptions
  @OptionGroup var connection: ConnectionOptions

  func validate() throws { try conflicts.check() }

  func run() async throws {
    let name: String
    if let account {
      name = account
    } else {
      let (options, path) = (connection, "/v1/jobs/\(job.pathSegment)")
      do {
        name = try await APIClient.with(options) { client in try await client.get(path)["account"]?.text ?? "" }
      } catch let failure as CommandFailure where failure.kind == .notFound {
        throw CommandFailure(.notFound, "no node remembers that job: give --account too")
      }
    }
    try await MergeShow.run(
      "/v1/accounts/\(name.pathSegment)/merges/\(job.pathSegment)/undo", conflicts.members, "undo", connection)
  }
}
