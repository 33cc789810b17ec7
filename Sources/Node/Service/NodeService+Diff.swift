// Comparisons of two states of an account, as jobs.

package import Backup
import Base
import ShardStore

extension NodeService {
  /// The snapshots that `request` names lie in this node's archive; a live side is this node's replica, whose position
  /// the report names.
  package func startDiff(account name: String, _ request: DiffRequest) throws(NodeError) -> JobID {
    guard let record = archivedOrLiving(name) else {
      throw NodeError(.notFound, "there is no account of that name: see `komora account list`")
    }
    let isLive = request.from == .live || request.to == .live
    if isLive {
      guard record.isActive else { throw NodeError(.refused, "the account is not active: compare two snapshots") }
      guard engine.accounts().contains(record.id) else {
        throw NodeError(
          .refused,
          "this node's archive has the snapshot, and no replica of the account is here: restore the snapshot under "
            + "another name and compare the two with SQL")
      }
    }
    let backups = backups
    return try jobs.start(.diff, account: name, sharing: false) { reporter in
      do {
        let report = try await backups.diff(record.id, request) { reporter.report($0, $1) }
        reporter.attach(report)
        return report.result
      } catch {
        throw NodeError(describing: error)
      }
    }
  }
}

extension DiffReport {
  /// As a job's result shows it: which states, and counts.
  var result: [String: String] {
    var result = [
      "from": from.name, "to": to.name, "from_position": "\(from.position)", "to_position": "\(to.position)",
      "identical": "\(isIdentical)", "rows_added": "\(rows.added)", "rows_removed": "\(rows.removed)",
      "rows_changed": "\(rows.changed)", "recordings_added": "\(recordings.added)",
      "recordings_removed": "\(recordings.removed)", "recordings_replaced": "\(recordings.replaced)",
      "recordings_described": "\(recordings.described)",
    ]
    if let taken = from.createdAt { result["from_created_at"] = taken.rfc3339 }
    if let taken = to.createdAt { result["to_created_at"] = taken.rfc3339 }
    return result
  }
}
