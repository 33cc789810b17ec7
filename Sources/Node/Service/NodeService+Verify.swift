// Verifications of archives as jobs, and single recordings out of snapshots.

package import Backup
import Base
import Formats
import ShardStore
import Threads

extension NodeService {
  /// A verification that finds damage fails, and says in its findings what and what it costs.
  package func startVerify(account name: String, _ order: VerifyOrder) throws(NodeError) -> JobID {
    guard let record = archivedOrLiving(name) else {
      throw NodeError(.notFound, "there is no account of that name: see `komora account list`")
    }
    do { try order.check() } catch { throw NodeError(.invalid, error.message) }
    let backups = backups
    return try jobs.start(.verify, account: name, sharing: false) { reporter in
      do {
        let report = try await backups.verify(record.id, order) { reporter.report($0, $1) }
        reporter.attach(report.findings)
        let damaged = report.findings.count { $0.severity == .damage }
        guard damaged == 0 else {
          throw NodeError(
            .io,
            "\(damaged) places of the archive are damaged; the first: "
              + "\(report.findings.first { $0.severity == .damage }.map { "\($0)" } ?? "")")
        }
        return report.result
      } catch { throw NodeError(describing: error) }
    }
  }

  package func recording(account name: String, _ key: String, at point: SnapshotRecordings.Point)
    async throws(NodeError) -> SnapshotRecording
  {
    guard let record = archivedOrLiving(name) else {
      throw NodeError(.notFound, "there is no account of that name: see `komora account list`")
    }
    do { return try await backups.recording(record.id, key, at: point) } catch { throw NodeError(describing: error) }
  }

  package func read(_ recording: SnapshotRecording, from offset: Int, count: Int) async throws(NodeError)
    -> ArraySlice<UInt8>
  {
    do { return try await blocking { try recording.read(from: offset, count: count) } } catch {
      throw NodeError(describing: error)
    }
  }
}

extension VerifyReport {
  /// As a job's result shows it.
  var result: [String: String] {
    guard let summary = summaries.last else { return ["findings": "\(findings.count)"] }
    var words = [
      "snapshots": "\(summary.snapshots)", "chunks": "\(summary.chunks)", "bytes": "\(summary.bytes)",
      "chunks_all": "\(summary.chunksAll)", "bytes_all": "\(summary.bytesAll)",
      "chunks_chosen": "\(summary.chunksChosen)", "complete": "\(summary.isComplete)",
      "fraction": Self.part(summary.fraction), "miss_probability": Self.part(summary.missProbability),
      "database_checked": "\(summary.isDatabaseChecked)", "erased": "\(summary.erased)",
      "chunks_decoded": "\(summary.chunksDecoded)", "chunks_proven_earlier": "\(summary.chunksProvenEarlier)",
      "database_proven": "\(summary.isDatabaseProven)", "damaged": "\(summary.damaged)",
      "moments": "\(summary.moments)",
    ]
    if let provenAt = summary.provenAt { words["proven_at"] = provenAt.rfc3339 }
    if let cursor = summary.cursor {
      words["round_chunks"] = "\(cursor.chunks)"
      if cursor.lastEnded > 0 {
        words["last_round_begun"] = cursor.lastBegun.rfc3339
        words["last_round_ended"] = cursor.lastEnded.rfc3339
      }
    }
    return words
  }

  private static func part(_ value: Double) -> String { "\((value * 1e6).rounded() / 1e6)" }
}
