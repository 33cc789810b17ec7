// `komora verify PATH…`: any file or directory that Komora wrote, with every range of bytes that is not what was
// written.

import ArgumentParser
import AtRest
import Backup
import Base
import Disk
import Foundation
import OpenSSL
import ShardStore

struct VerifyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check any file or directory that Komora wrote: data, log, archive, snapshot, keyring.",
    discussion: """
      Without a key every checksum is compared. With the node's key-encryption key, or with an account's recovery \
      file, seals and signatures are checked too. Nothing is changed.
      """)

  @Argument(help: "Files and directories.")
  var paths: [String]

  @Option(help: "The file of the node's key-encryption key.")
  var keyFile: String?

  @Option(help: "An account's recovery file.")
  var recovery: String?

  @Option(help: "A file with the age identity that opens the recovery file.")
  var identity: String?

  @Option(help: "A file with the passphrase that opens the recovery file, or - for standard input.")
  var passphraseFile: String?

  @OptionGroup var extent: VerifyExtentOptions

  @Option(help: "With --sample or --budget: a file that keeps where the next run goes on.")
  var cursor: String?

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    guard !paths.isEmpty else { throw ValidationError("Give at least one file or directory.") }
    guard keyFile == nil || recovery == nil else { throw ValidationError("Give --key-file or --recovery, not both.") }
    if recovery != nil, (identity == nil) == (passphraseFile == nil) {
      throw ValidationError("--recovery wants --identity or --passphrase-file.")
    }
    try extent.check()
    guard extent.order == nil || keyFile != nil || recovery != nil else {
      throw ValidationError("--sample, --budget and --moments open chunks: give --key-file or --recovery.")
    }
    guard !extent.decode || keyFile != nil || recovery != nil else {
      throw ValidationError("--decode opens chunks: give --key-file or --recovery.")
    }
    guard cursor == nil || extent.order?.isPart == true else {
      throw ValidationError("--cursor goes with --sample or --budget.")
    }
  }

  func run() async throws {
    let keys = try keys()
    let display = ProgressDisplay("verify", json: json)
    var reports: [VerifyReport] = []
    for path in paths {
      do throws(BackupError) {
        // The process does nothing else: this thread may block.
        reports.append(
          try report(PrivateFile.absolute(path), keys) { display.update($0, path) })
      } catch {
        display.finish()
        throw CommandFailure(backup: error)
      }
    }
    display.finish()
    show(reports)
    let damaged = reports.reduce(0) { $0 + $1.findings.count { $0.severity == .damage } }
    guard damaged == 0 else {
      throw CommandFailure(.failed, "\(damaged) places are damaged: restore what lies there from a snapshot")
    }
  }

  /// A part of the archives at `path`, or everything there.
  private func report(
    _ path: String, _ keys: VerifyKeys, _ progress: @escaping @Sendable (Double) -> Void
  ) throws(BackupError) -> VerifyReport {
    guard var order = extent.order else {
      return try Verify.run(path, disk: RealDisk(), keys: keys, decodes: extent.decode, progress: progress)
    }
    order.cursor = cursor.map(PrivateFile.absolute)
    return try Verify.part(
      path, disk: RealDisk(), keys: keys, order, now: SystemClock().unixMicroseconds(), progress: progress)
  }

  private func keys() throws(CommandFailure) -> VerifyKeys {
    do throws(AtRestError) {
      if let keyFile { return .keyEncryption(try FileKeyEncryption(path: keyFile)) }
    } catch {
      throw CommandFailure(.usage, "\(keyFile ?? ""): \(error.message)")
    }
    guard let recovery else { return .none }
    let file = try RecoveryInput.open(recovery, identity: identity, passphraseFile: passphraseFile)
    return .account(file.account, file.accountKey)
  }

  private func show(_ reports: [VerifyReport]) {
    guard !json else {
      return Terminal.line(JSONValue.object(["reports": .list(reports.map(Self.json))]).encoded(pretty: false))
    }
    for report in reports {
      for finding in report.findings { Terminal.line("\(finding)") }
      for note in report.notes { Terminal.note("note: \(note)") }
      for (archive, spans) in report.restorable {
        if spans.isEmpty { Terminal.line("\(archive): no moment is restorable") }
        for span in spans { Terminal.line("\(archive): restorable from \(span.text)") }
      }
      for summary in report.summaries { Terminal.line(Self.text(summary)) }
      let state = report.isSound ? "sound" : "DAMAGED"
      Terminal.line("\(report.path): \(state), \(report.files) files, \(Terminal.bytes(Int64(clamping: report.bytes)))")
    }
  }

  private static func text(_ summary: VerifySummary) -> String {
    let percent = (summary.fraction * 10_000).rounded() / 100
    let miss = (summary.missProbability * 10_000).rounded() / 100
    return
      "account \(summary.account): \(summary.chunks) of \(summary.chunksAll) chunks of \(summary.snapshots) snapshots "
      + "were read and authenticated (\(percent) %)\(summary.isComplete ? "" : ", then the budget was over"), "
      + "\(summary.chunksDecoded) of them decoded"
      + (summary.provenAt.map { ", the others as they were when they were proven, \(RFC3339.text($0)) or later" } ?? "")
      + "; one damaged chunk would have been missed with a probability of \(miss) %"
  }

  private static func json(_ report: VerifyReport) -> JSONValue {
    let findings = report.findings.map { finding -> JSONValue in
      .object([
        "path": .text(finding.path), "offset": .integer(Int64(clamping: finding.offset)),
        "message": .text(finding.message), "damage": .boolean(finding.severity == .damage),
      ])
    }
    return .object([
      "path": .text(report.path), "sound": .boolean(report.isSound), "files": .integer(Int64(report.files)),
      "bytes": .integer(Int64(clamping: report.bytes)), "units": .integer(Int64(report.units)),
      "kinds": .object(report.kinds.mapValues { .integer(Int64($0)) }), "findings": .list(findings),
      "notes": .list(report.notes.map { .text($0) }),
      "restorable": .list(
        report.restorable.flatMap { archive, spans in
          spans.map { span -> JSONValue in
            .object([
              "archive": .text(archive), "from": .text(RFC3339.text(span.from)),
              "through": .text(RFC3339.text(span.through)),
            ])
          }
        }),
      "archives": .list(report.summaries.map(Self.json)),
    ])
  }

  private static func json(_ summary: VerifySummary) -> JSONValue {
    .object([
      "account": .text("\(summary.account)"), "snapshots": .integer(Int64(summary.snapshots)),
      "chunks": .integer(Int64(clamping: summary.chunks)), "chunks_all": .integer(Int64(clamping: summary.chunksAll)),
      "chunks_decoded": .integer(Int64(clamping: summary.chunksDecoded)),
      "chunks_proven_earlier": .integer(Int64(clamping: summary.chunksProvenEarlier)),
      "proven_at": summary.provenAt.map { .text(RFC3339.text($0)) } ?? .null,
      "complete": .boolean(summary.isComplete), "database_checked": .boolean(summary.isDatabaseChecked),
      "database_proven": .boolean(summary.isDatabaseProven),
    ])
  }
}
