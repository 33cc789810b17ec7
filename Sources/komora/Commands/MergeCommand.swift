// `komora merge …`: chosen rows and recordings of an old state back into the live account, and back again.

import ArgumentParser
import Backup

struct MergeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge", abstract: "Bring chosen rows and recordings back into the live account; undo that.",
    discussion: """
      komora merge --account A --from SNAPSHOT-or-TIME --only PATTERN… [--on-conflict refuse|keep|take] [--dry-run]
      komora merge undo JOB --account A [--on-conflict refuse|keep|take] [--dry-run]

      \(SelectionHelp.text)

      Rows that are gone come back, equal ones are left, and rows that are otherwise now are conflicts: with refuse \
      nothing at all is changed, with keep they stay as they are, with take the old version wins. Everything is one \
      transaction. No trigger fires; a table that was dropped is made again; a constraint that would not hold refuses \
      the whole. Recordings that were erased do not come back.
      """,
    subcommands: [MergeRunCommand.self, MergeUndoCommand.self], defaultSubcommand: MergeRunCommand.self)
}

/// What `--only` takes, wherever it stands.
enum SelectionHelp {
  static let text = """
    A PATTERN is one of
      table:NAME                 all rows of a table
      table:NAME?COLUMN>=VALUE&… rows for which all conditions hold: = != < <= > >=, and ~ for * and ? in a text
      row:TABLE/KEY,KEY…         rows by key: a value, FROM..TO, or a pattern with * and ?
      recording:GLOB             recordings by S3 key; * stands for anything, / too
      period:FROM/TO             recordings made from FROM on and before TO (RFC 3339)
    A key of several columns is VALUE/VALUE; 'a text' and x'00ff' are values too; %XX is a byte that would mean something \
    else, such as %2C for a comma.
    """
}

struct ConflictOptions: ParsableArguments {
  enum Choice: String, ExpressibleByArgument, CaseIterable { case refuse, keep, take }

  @Option(
    help: "Rows that are otherwise now: refuse (change nothing), keep (leave them) or take (the old version wins).")
  var onConflict = Choice.refuse

  @Flag(help: "Try it, tell what would change, and change nothing.")
  var dryRun = false

  @Option(help: "How many conflicts are told one by one: 0 to 10000.")
  var limit = 100

  func check() throws {
    guard 0...10_000 ~= limit else { throw ValidationError("--limit is from 0 to 10000.") }
  }

  var members: [String: JSONValue] {
    ["on_conflict": .text(onConflict.rawValue), "dry_run": .boolean(dryRun), "listed": .integer(Int64(limit))]
  }
}
