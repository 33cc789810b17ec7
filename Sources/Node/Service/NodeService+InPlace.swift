// Restores in place and what undoes them, as jobs of the node that leads the account.
//
// What an undo needs lies in the account's own database, in the record of the restore itself (`ReplaceCatalog`). The
// account's record in the control store names its last restores, so that any node knows, also after a restart, which
// account a job was about; it is written before the restore, and one that then did not happen does no harm there.

package import Backup
import Base
import ControlStores
package import ShardStore
import Threads

package struct InPlaceWish: Sendable {
  package var account: String
  package var state: ArchivedState
  package var dryRun: Bool
  package var request: Idempotency?

  package init(account: String, state: ArchivedState, dryRun: Bool = false, request: Idempotency? = nil) {
    self.account = account
    self.state = state
    self.dryRun = dryRun
    self.request = request
  }
}

package struct UndoWish: Sendable {
  package var account: String
  /// The restore that is undone.
  package var job: JobID
  package var dryRun: Bool
  package var request: Idempotency?

  package init(account: String, job: JobID, dryRun: Bool = false, request: Idempotency? = nil) {
    self.account = account
    self.job = job
    self.dryRun = dryRun
    self.request = request
  }
}

extension NodeService {
  package func startRestoreInPlace(_ wish: InPlaceWish) throws(NodeError) -> JobID {
    let account = try ledAccount(wish.account)
    if case .moment(let moment) = wish.state, moment > clock.now {
      throw NodeError(.refused, "\(RFC3339.text(moment)) lies in the future: it is \(RFC3339.text(clock.now)) here")
    }
    return try jobs.start(.restore, account: account.name, sharing: false) { reporter in
      var order = InPlaceOrder(wish.state, id: reporter.id.bytes)
      (order.dryRun, order.request) = (wish.dryRun, wish.request)
      return try await self.restoreInPlace(account, order, reporter)
    }
  }

  package func startUndo(_ wish: UndoWish) throws(NodeError) -> JobID {
    let account = try ledAccount(wish.account)
    return try jobs.start(.restore, account: account.name, sharing: false) { reporter in
      do {
        let undone = wish.job.bytes
        let found = try await self.engine.read(account.id) { try ReplaceCatalog.entry($0, id: undone) }.value
        guard let found else {
          throw NodeError(
            .notFound, "the account remembers no restore in place by that job: see `komora restore --help`")
        }
        var order = InPlaceOrder(.position(found.before), id: reporter.id.bytes)
        (order.undoes, order.dryRun, order.request) = (undone, wish.dryRun, wish.request)
        _ = try? await self.backups.archiveLog(account.id)
        // One of them is the restore itself.
        let later = try await self.backups.transactions(account.id, after: found.before)
        var result = try await self.restoreInPlace(account, order, reporter)
        result["undoes"] = "\(wish.job)"
        result["undone"] = found.what
        result["later_transactions"] = "\(max(0, later - 1))"
        return result
      } catch { throw NodeError(describing: error) }
    }
  }

  /// The account that a restore in place was about; nil when nobody knows.
  package func account(ofRestore job: JobID) -> AccountRecord? {
    if let status = jobs.status(job), let record = try? account(named: status.account) { return record }
    let name = "\(job)"
    return control.view.with { view in view.accounts.values.map(\.record).first { $0.restores.contains(name) } }
  }

  private func ledAccount(_ name: String) throws(NodeError) -> AccountRecord {
    let account = try account(named: name)
    guard account.isActive else { throw NodeError(.refused, "the account is not active") }
    try checkHeld(account)
    return account
  }

  private func restoreInPlace(
    _ account: AccountRecord, _ order: InPlaceOrder, _ reporter: JobRegistry.Reporter
  ) async throws -> [String: String] {
    do {
      if !order.dryRun { try await note(restore: reporter.id, of: account.id) }
      let report = try await backups.restoreInPlace(account.id, order) { reporter.report($0, $1) }
      if let diff = report.diff { reporter.attach(diff) }
      if !order.dryRun { metrics.counter("komora_restores_total", [("outcome", "done")]).increment() }
      var result = report.words.merging(["account": account.name, "in_place": "true", "source": "archive"]) { $1 }
      result["restored"] = "\(order.state)"
      // What an undo is asked for by.
      let id = report.restore.flatMap { $0.count == 16 ? JobID(bytes: $0) : nil } ?? reporter.id
      result[order.dryRun ? "dry_run" : "undo"] = order.dryRun ? "true" : "\(id)"
      if report.isRepeated { result["repeated"] = "true" }
      return result
    } catch {
      if !order.dryRun { metrics.counter("komora_restores_total", [("outcome", "failed")]).increment() }
      throw NodeError(describing: error)
    }
  }

  private static let restoresMax = 32

  private func note(restore job: JobID, of id: AccountID) async throws(NodeError) {
    let name = "\(job)"
    try await control.change { view throws(NodeError) in
      guard let account = view[id] else { throw NodeError(.notFound, "the account is gone") }
      guard !account.record.restores.contains(name) else { return PlannedChange(changes: [], value: ()) }
      var changed = account.record
      changed.restores = Array((changed.restores + [name]).suffix(Self.restoresMax))
      let key = ControlKeys.account(id)
      return PlannedChange(
        conditions: [ControlCondition(key, at: account.revision)],
        changes: [.put(key, try ControlKeys.encode(StoredAccount(changed)))], value: ())
    }
  }
}
