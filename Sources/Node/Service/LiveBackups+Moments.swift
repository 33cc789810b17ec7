// The archived log and the moments of a running node's accounts.

import Backup
import Base
import ShardStore

extension LiveBackups {
  func archiveLog(_ account: AccountID) async throws -> LogIndex? {
    try await logArchive(account).archiveLog(of: engine).end
  }

  func hasLog(_ account: AccountID) async throws -> Bool {
    let archive = logArchive(account)
    return try await blocking { try archive.hasLog() }
  }

  func moments(of account: AccountID) async throws -> [MomentSpan] { try await logArchive(account).moments() }

  func plan(_ account: AccountID, at moment: UnixMicroseconds) async throws -> [String: String] {
    Self.words(try await logArchive(account).plan(at: moment, unlockedBy: unlock))
  }

  func restore(
    _ account: AccountID, at moment: UnixMicroseconds, as target: AccountID,
    placed: @escaping @Sendable () async throws -> Void, progress: @escaping Progress
  ) async throws -> [String: String] {
    var request = Backup.MomentRequest(at: moment, as: target, unlockedBy: unlock) { progress($0, "restoring") }
    request.control = Self.control
    let report = try await logArchive(account).restore(request, into: engine, placed: placed)
    var words = Self.words(report.plan)
    words["resumed"] = "\(report.isResumed)"
    words["chunks_read"] = "\(report.chunksRead)"
    words["erased"] = "\(report.erased.count)"
    return words
  }

  static func words(_ plan: RestorePlan) -> [String: String] {
    var words = [
      "snapshot": "\(plan.snapshot)", "created_at": RFC3339.text(plan.createdAt), "position": "\(plan.position)",
      "bytes": "\(plan.bytes)", "database_bytes": "\(plan.databaseBytes)", "recordings": "\(plan.recordings)",
      "recording_bytes": "\(plan.recordingBytes)", "erased": "\(plan.erased)",
    ]
    guard let moment = plan.moment else { return words }
    words["wanted_at"] = RFC3339.text(moment.wanted)
    words["at"] = RFC3339.text(moment.time)
    words["snapshot_position"] = "\(moment.snapshotPosition)"
    words["log_records"] = "\(moment.records)"
    words["log_bytes"] = "\(moment.logBytes)"
    // True when the archive does not know whether anything followed before the moment that was asked for.
    words["newest"] = moment.isClamped ? "true" : "false"
    words["log_files"] = "\(moment.logFiles)"
    return words
  }
}
