// `komora restore --offline`: archive files and a recovery file in, ordinary files out. No node runs.

import ArgumentParser
import AtRest
import Backup
import Base
import Disk
import Foundation

struct OfflineRestoreOptions: ParsableArguments {
  @Flag(help: "Restore from archive files alone, without a node.")
  var offline = false

  @Option(
    help: "Offline: the archive's directory, the account's own or the one above it; or https://HOST/BUCKET[/PREFIX].")
  var archive: String?

  @OptionGroup(title: "Archive in S3-compatible storage") var storage: RemoteArchiveOptions

  @Option(help: "Offline: the account's recovery file.")
  var recovery: String?

  @Option(help: "Offline: a file with the age identity (AGE-SECRET-KEY-1…) that opens the recovery file.")
  var identity: String?

  @Option(help: "Offline: a file with the passphrase that opens the recovery file, or - for standard input.")
  var passphraseFile: String?

  @Option(help: "Offline: refuse a snapshot that does not reach this position (EPOCH.INDEX, from a receipt).")
  var expect: String?

  @Option(help: "Offline: the directory that is made for the account's files.")
  var out: String?

  @Flag(help: "Do not ask: before a restore in place; offline, whether the newest snapshot is new enough.")
  var yes = false

  func check() throws {
    guard archive != nil, recovery != nil, out != nil, (identity == nil) != (passphraseFile == nil) else {
      throw ValidationError("--offline wants --archive, --recovery, --out, and --identity or --passphrase-file.")
    }
  }

  func run(json: Bool, at: String?, only: [String]) async throws {
    let file = try RecoveryInput.open(recovery ?? "", identity: identity, passphraseFile: passphraseFile)
    let expected = try expect.map { text throws(CommandFailure) in
      guard let position = ExpectedPosition(text) else {
        throw CommandFailure(.usage, "--expect wants a position such as 3.1842, as `Komora-Position` shows it")
      }
      return position
    }
    let source = try await storage.source(archive ?? "", of: file.account)
    let (moment, goesOn) = (try at.map(RestoreCommand.moment), PrivateFile.absolute(self.out ?? ""))
    let restore = try await source.reading {
      try OfflineRestore(
        disk: source.disk, archive: source.path, recovery: file, at: moment, expect: expected, goingOnAt: goesOn)
    }
    if at == nil { try confirmAge(restore.snapshot, json: json) }
    if let moment = restore.plan.moment, moment.isClamped {
      Terminal.note(
        "the newest state in this archive up to then is of \(RFC3339.text(moment.time)), position \(moment.end); whether "
          + "anything followed its files do not say")
    }
    let display = ProgressDisplay("restore", json: json)
    let out = PrivateFile.absolute(out ?? "")
    let report = try await source.reading {
      try restore.run(out: out, only: only.isEmpty ? nil : RowSelection(only)) { display.update($0, "writing") }
    }
    await source.close()
    display.finish()
    var members: [String: JSONValue] = [
      "out": .text(out), "account": .text("\(report.plan.account)"), "snapshot": .text("\(report.plan.snapshot)"),
      "taken": .text(Self.time(report.plan.createdAt)), "position": .text("\(report.plan.position)"),
      "database_bytes": .integer(Int64(report.plan.databaseBytes)),
      "recordings": .integer(Int64(report.plan.recordings)),
      "recording_bytes": .integer(Int64(report.plan.recordingBytes)), "erased": .integer(Int64(report.erased.count)),
      "resumed": .boolean(report.isResumed), "chunks_read": .integer(Int64(report.chunksRead)),
    ]
    if let moment = report.plan.moment {
      members["at"] = .text(RFC3339.text(moment.time))
      members["log_records"] = .integer(Int64(moment.records))
      members["clamped"] = .boolean(moment.isClamped)
    }
    let result = JSONValue.object(members)
    guard !json else { return Terminal.line(result.encoded(pretty: false)) }
    Show.object(
      result,
      [
        ("written to", "out"), ("snapshot of", "taken"), ("state of", "at"), ("log records", "log_records"),
        ("position", "position"), ("database", "database_bytes"),
        ("recordings", "recordings"), ("of them", "recording_bytes"), ("erased", "erased"),
      ], json: false)
  }

  /// An older manifest that somebody put in place of the newest cannot be noticed without an anchor; a person can.
  private func confirmAge(_ snapshot: SnapshotInfo, json: Bool) throws(CommandFailure) {
    guard expect == nil, !yes else { return }
    let hours = Int((Date().timeIntervalSince1970 - Double(snapshot.createdAt) / 1_000_000) / 3600)
    let age = "the newest snapshot here was taken \(Self.time(snapshot.createdAt)), \(hours) hours ago"
    guard Terminal.isInteractive, !json else {
      throw CommandFailure(.refused, "\(age): give --expect POSITION, --at TIME, or --yes to accept that")
    }
    Terminal.draw("\(age). Go on? [y/N] ")
    guard readLine()?.lowercased().hasPrefix("y") == true else {
      throw CommandFailure(.refused, "nothing was restored")
    }
  }

  private static func time(_ microseconds: UnixMicroseconds) -> String {
    Date(timeIntervalSince1970: Double(microseconds) / 1_000_000).formatted(.iso8601)
  }

}

extension CommandFailure {
  /// A failure of `Backup`, as the command line says it.
  init(backup error: any Error) {
    guard let error = error as? BackupError else {
      self.init(.failed, "\(error)")
      return
    }
    let kind: Kind =
      switch error.code {
      case .notFound: .notFound
      case .exists, .wrongKey, .refused: .refused
      default: .failed
      }
    self.init(kind, error.description)
  }
}
