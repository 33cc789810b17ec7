// What a verification says about moments: which can be restored, and what each damaged or missing file costs.

import Base
import Disk
import Formats
import ShardStore

struct MomentVerifier {
  let disk: any Disk
  let layout: ArchiveLayout

  /// What damage in the packs spoils, by the path that its finding names.
  struct Broken {
    /// Manifests.
    var snapshots: [String: Set<String>] = [:]
    /// Recordings that only the log names, while they were there.
    var spans: [String: [MomentSpan]] = [:]
  }

  /// After all files were checked.
  func verify(_ broken: Broken, hasKeys: Bool, _ report: inout VerifyReport) throws(BackupError) {
    let losses = try MomentLosses(disk, layout)
    try noteMissing(losses, &report)
    try noteUnproven(&report)
    var lost: Set<String> = Set(losses.missing.map(\.path))
    var holes: [MomentSpan] = []
    for i in report.findings.indices where isOwn(report.findings[i]) {
      let path = report.findings[i].path
      guard !lost.contains(path) else { continue }
      if path == layout.keyring {
        report.findings[i].message += "; " + Self.text(losses.all)
        holes += losses.all
      } else if !path.hasPrefix(layout.packs) {
        report.findings[i].message += "; " + Self.text(try losses.cost(of: [path]))
        if !path.hasSuffix(ArchiveLayout.proofSuffix) { lost.insert(path) }
      } else if hasKeys {
        let (snapshots, spans) = (broken.snapshots[path] ?? [], losses.within(broken.spans[path] ?? []))
        report.findings[i].message += "; " + Self.text(Self.joined(try losses.cost(of: snapshots) + spans))
        lost.formUnion(snapshots)
        holes += spans
      } else {
        report.findings[i].message += "; which moments that costs only the account's key tells"
      }
    }
    report.restorable.append((layout.directory, MomentLosses.difference(try losses.spans(without: lost), holes)))
  }

  private func isOwn(_ finding: VerifyFinding) -> Bool {
    finding.severity == .damage && finding.path.hasPrefix(layout.directory + "/")
  }

  private func noteMissing(_ losses: MomentLosses, _ report: inout VerifyReport) throws(BackupError) {
    for run in losses.missing {
      let message = "\(run.message); " + Self.text(try losses.cost(of: [run.path]))
      // Behind the last run a node that lives may be about to archive them.
      if run.isLast { report.mendable(run.path, at: 0, message) } else { report.damage(run.path, at: 0, message) }
    }
  }

  private func noteUnproven(_ report: inout VerifyReport) throws(BackupError) {
    for snapshot in try ManifestStore(disk: disk, layout: layout).list().snapshots where snapshot.state == .stored {
      let proof = snapshot.path + ArchiveLayout.proofSuffix
      guard !report.findings.contains(where: { $0.path == proof || $0.path == snapshot.path }) else { continue }
      report.mendable(proof, at: 0, "the snapshot has no proof: it is stored, not proven; it costs no moment")
    }
  }

  static func text(_ spans: [MomentSpan]) -> String {
    spans.isEmpty ? "it costs no moment" : "it costs the moments from " + spans.map(\.text).joined(separator: ", from ")
  }

  /// `spans` by time, those that overlap as one.
  static func joined(_ spans: [MomentSpan]) -> [MomentSpan] {
    var joined: [MomentSpan] = []
    for span in spans.sorted(by: { $0.from < $1.from }) {
      if let last = joined.last, span.from <= last.through {
        joined[joined.count - 1].through = max(last.through, span.through)
      } else {
        joined.append(span)
      }
    }
    return joined
  }
}
