// Restores in place of a running node's accounts.

import Backup
import Base
import Formats
import ShardStore

extension LiveBackups {
  func restoreInPlace(
    _ account: AccountID, _ order: InPlaceOrder, progress: @escaping @Sendable (Double, String) -> Void
  ) async throws -> InPlaceReport {
    let request = InPlaceRequest(
      order.state, id: order.id, unlockedBy: unlock, undoes: order.undoes, request: order.request,
      dryRun: order.dryRun, progress: progress)
    return try await archive(account).restoreInPlace(request, in: engine)
  }

  func transactions(_ account: AccountID, after position: Position) async throws -> Int {
    try await archive(account).transactions(after: position)
  }
}

extension InPlaceReport {
  /// As a job's result shows it.
  var words: [String: String] {
    var words = plan.map(LiveBackups.words) ?? [:]
    words["missing_chunks"] = nil
    words["changed_pages"] = "\(changedPages)"
    words["changed_bytes"] = "\(changedPages * Limits.pageBytes)"
    words["database_pages"] = "\(databasePages)"
    words["recordings_returning"] = "\(returning)"
    words["recordings_from_archive"] = "\(broughtBack)"
    words["recordings_from_archive_bytes"] = "\(broughtBackBytes)"
    words["recordings_vanishing"] = "\(vanishing)"
    words["erased"] = "\(erased.count)"
    words["restored_position"] = plan.map { "\($0.position)" }
    words["position"] = position.map { "\($0)" }
    words["before"] = before.map { "\($0)" }
    if let diff {
      words["rows_added"] = "\(diff.rows.added)"
      words["rows_removed"] = "\(diff.rows.removed)"
      words["rows_changed"] = "\(diff.rows.changed)"
    }
    words["archive_failure"] = archiveFailure
    return words
  }
}
