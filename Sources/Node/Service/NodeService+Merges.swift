// Merges and their undoing as jobs of the node that leads the account. The job's id is the merge's name.

package import Backup
import Base
import Control

/// What is to be brought back, as it was asked for.
package struct MergeOrder: Sendable {
  package var from: MergePoint
  package var selection: RowSelection
  package var policy: MergePolicy
  package var dryRun: Bool
  package var listed: Int
  /// Names the request for as long as the account keeps replies.
  package var idempotency: (key: String, hash: [UInt8])?

  package init(
    from: MergePoint, selection: RowSelection, policy: MergePolicy, dryRun: Bool, listed: Int,
    idempotency: (key: String, hash: [UInt8])?
  ) {
    (self.from, self.selection, self.policy, self.dryRun) = (from, selection, policy, dryRun)
    (self.listed, self.idempotency) = (listed, idempotency)
  }
}

extension NodeService {
  package func startMerge(account name: String, _ order: MergeOrder) throws(NodeError) -> JobID {
    let account = try mergeable(name)
    if case .moment(let moment) = order.from, moment > clock.now {
      throw NodeError(.refused, "\(RFC3339.text(moment)) lies in the future: it is \(RFC3339.text(clock.now)) here")
    }
    let (backups, keep) = (backups, configuration.timers.retention)
    return try jobs.start(.merge, account: name, sharing: false) { reporter in
      try await self.merging(reporter, "merge", "merge", dryRun: order.dryRun) {
        // So that a moment of this very minute can be read.
        if case .moment = order.from { _ = try? await backups.archiveLog(account.id) }
        let request = MergeRequest(
          id: reporter.id.bits, from: order.from, selection: order.selection, policy: order.policy,
          dryRun: order.dryRun, listed: order.listed, keep: keep, idempotency: order.idempotency)
        return try await backups.merge(account.id, request) { reporter.report($0, $1) }
      }
    }
  }

  package func startMergeUndo(account name: String, _ request: MergeUndoRequest) throws(NodeError) -> JobID {
    let account = try mergeable(name)
    let backups = backups
    return try jobs.start(.merge, account: name, sharing: false) { reporter in
      try await self.merging(reporter, "undo", "undo", dryRun: request.dryRun) {
        try await backups.undoMerge(account.id, request)
      }
    }
  }

  private func mergeable(_ name: String) throws(NodeError) -> AccountRecord {
    let account = try account(named: name)
    guard account.isActive else {
      throw NodeError(.refused, "the account is not active: nothing can be merged into it")
    }
    try checkHeld(account)
    return account
  }

  private func merging(
    _ reporter: JobRegistry.Reporter, _ kind: String, _ what: String, dryRun: Bool,
    _ body: () async throws -> MergeReport
  ) async throws -> [String: String] {
    do {
      let report = try await body()
      reporter.attach(report)
      if !dryRun { metrics.counter("komora_merges_total", [("kind", kind), ("outcome", "done")]).increment() }
      return report.result.merging(dryRun ? ["dry_run": "true"] : [:]) { $1 }
    } catch let refused as MergeRefused {
      reporter.attach(refused.report)
      metrics.counter("komora_merges_total", [("kind", kind), ("outcome", "refused")]).increment()
      throw NodeError(.refused, refused.report.refusal(what))
    } catch {
      metrics.counter("komora_merges_total", [("kind", kind), ("outcome", "failed")]).increment()
      let error = NodeError(describing: error)
      // Another node has come to lead the account meanwhile: it merges when it is asked again.
      throw error.code == .elsewhere ? NodeError(.unavailable, "the account changed hands: merge again") : error
    }
  }
}

extension MergeReport {
  /// As a job's result shows it: counts.
  var result: [String: String] {
    var result = [
      "merge": "\(JobID(bits: merge))", "inserted": "\(inserted)", "changed": "\(changed)", "equal": "\(equal)",
      "removed": "\(removed)", "conflicts": "\(conflictCount)", "recordings": "\(recordings.inserted)",
      "recordings_changed": "\(recordings.changed)", "recordings_equal": "\(recordings.equal)",
      "recordings_removed": "\(recordings.removed)", "recording_bytes": "\(recordings.bytes)",
      "erased": "\(recordings.erased)",
    ]
    if !source.name.isEmpty { result["from"] = source.name }
    if source.position != .start { result["from_position"] = "\(source.position)" }
    if let time = source.createdAt { result["from_created_at"] = time.rfc3339 }
    if isReplayed { result["replayed"] = "true" }
    return result
  }

  /// Why nothing was changed, without a word of the account's data.
  func refusal(_ what: String) -> String {
    if violations > 0 {
      return "the \(what) would break \(violations) rules of the tables (see the report): nothing was changed"
    }
    return "\(conflictCount) rows and recordings are otherwise now (see the report), so nothing was changed: give "
      + "--on-conflict keep to leave them, or take to replace them"
  }
}

extension NodeService {
  /// What the part of a restore that was asked for would bring; nothing when all was.
  func planned(
    _ point: RestorePoint, _ source: AccountRecord, _ only: RowSelection?
  ) async throws -> [String: String] {
    guard let only else { return [:] }
    return try await backups.planSelection(source.id, point.merge, only)
  }
}

extension NodeService.RestorePoint {
  var merge: MergePoint {
    switch self {
    case .snapshot(let info): .snapshot(info.id)
    case .moment(let moment): .moment(moment)
    }
  }
}
