// Exports as jobs. An export has its id before it begins, so that it can be looked at and cancelled while it runs.

package import Backup
package import Base

extension NodeService {
  /// Result of a job that names its export.
  private static let exportField = "export"

  package func startExport(_ request: ExportRequest) async throws(NodeError) -> (export: ExportID, job: JobID) {
    let account = try account(named: request.account)
    guard account.isActive else { throw NodeError(.refused, "the account is not active") }
    try checkHeld(account)
    let id = randomID(ExportID.self)
    var order = ExportOrder(export: id, accountName: account.name, createdAt: clock.now)
    (order.from, order.to, order.recipients) = (request.from, request.to, request.recipients)
    (order.partBytes, order.asFLAC) = (request.partBytes, request.asFLAC)
    do {
      try order.check()
      if request.sinceLast { order.previous = try await newestExport(of: account) }
    } catch let error as BackupError {
      throw NodeError(error.code == .refused ? .invalid : .io, error.message)
    } catch { throw NodeError(describing: error) }
    return (id, try startExport(account, order))
  }

  private func startExport(_ account: AccountRecord, _ order: ExportOrder) throws(NodeError) -> JobID {
    let (backups, metrics, clock, jobs) = (backups, metrics, clock, jobs)
    let wanted = order
    return try jobs.start(
      .export, account: account.name, sharing: false, result: [Self.exportField: "\(order.export)"]
    ) { reporter in
      let began = clock.now
      let flag = JobScope.current.cancel
      do {
        var order = wanted
        order.progress = { reporter.report($0, "exporting") }
        order.isCancelled = { flag.isSet }
        let info = try await backups.export(account.id, order) { id in
          jobs.all.contains { !$0.state.isFinal && Self.export($0) == id }
        }
        metrics.counter("komora_exports_total", [("outcome", "done")]).increment()
        metrics.histogram("komora_export_seconds").observe(.microseconds(clock.now - began))
        return info.result
      } catch let error as CancellationError {
        metrics.counter("komora_exports_total", [("outcome", "cancelled")]).increment()
        throw error
      } catch {
        metrics.counter("komora_exports_total", [("outcome", "failed")]).increment()
        throw NodeError(describing: error)
      }
    }
  }

  private func newestExport(of account: AccountRecord) async throws -> ExportID {
    guard let newest = try await backups.exports(of: account.id).last else {
      throw NodeError(
        .notFound, "this node has no export of the account to go on from: make a whole one first, or cancel the wish")
    }
    return newest.id
  }

  private static func export(_ job: JobStatus) -> ExportID? {
    job.kind == .export ? job.result[exportField].flatMap { ExportID($0) } : nil
  }

  /// Those in this node's archive, then those that wait or run here.
  package func exports(account name: String) async throws(NodeError) -> [ExportStanding] {
    let account = try exportedAccount(name)
    let finished: [ExportInfo]
    do { finished = try await backups.exports(of: account.id) } catch { throw NodeError(describing: error) }
    let known = Set(finished.map(\.id))
    return finished.map { .finished($0) }
      + exportJobs(of: account).filter { !known.contains($0.0) }.map { .job($0.0, $0.1) }
  }

  private func exportJobs(of account: AccountRecord) -> [(ExportID, JobStatus)] {
    jobs.all.filter { $0.account == account.name && !$0.state.isFinal }.compactMap { job in
      Self.export(job).map { ($0, job) }
    }
  }

  /// The bytes of a finished export that lies here; `.notFound` otherwise.
  package func openExport(account name: String, _ id: ExportID) async throws(NodeError) -> (ExportInfo, ExportFile) {
    let account = try exportedAccount(name)
    do {
      guard let info = try await backups.exports(of: account.id).first(where: { $0.id == id }) else {
        throw NodeError(.notFound, "there is no such export: see `komora export list`")
      }
      return (info, try await backups.openExport(account.id, info))
    } catch { throw NodeError(describing: error) }
  }

  package func readExport(_ file: ExportFile, from offset: UInt64, count: Int) async throws(NodeError) -> [UInt8] {
    do { return try await blocking { try file.read(count, at: offset) } } catch { throw NodeError(describing: error) }
  }

  /// Ends one that runs or removes one that is finished; returns when nothing of it is left. `.notFound` when this node
  /// has none of that id.
  package func cancelExport(account name: String, _ id: ExportID) async throws(NodeError) {
    let account = try exportedAccount(name)
    var found = false
    for (export, job) in exportJobs(of: account) where export == id {
      found = true
      await jobs.cancel(job.id, NodeError(.refused, "the export was cancelled"))
    }
    do {
      if try await backups.removeExport(account.id, id) { found = true }
    } catch { throw NodeError(describing: error) }
    guard found else { throw NodeError(.notFound, "there is no such export: see `komora export list`") }
  }

  private func exportedAccount(_ name: String) throws(NodeError) -> AccountRecord {
    guard let record = archivedOrLiving(name) else {
      throw NodeError(.notFound, "there is no account of that name: see `komora account list`")
    }
    return record
  }
}

extension ExportInfo {
  /// As a job's result shows it.
  var result: [String: String] {
    [
      "export": "\(id)", "created_at": createdAt.rfc3339, "position": position, "bytes": "\(bytes)",
      "recordings": "\(recordings)", "recording_bytes": "\(recordingBytes)", "file": file, "sha256": hash.hex,
      "root": root.hex,
    ]
  }
}
