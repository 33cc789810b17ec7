// Restores to a moment, beside those of a snapshot.

package import Backup
import Base

extension NodeService {
  /// What a restore gives back.
  enum RestorePoint: Sendable {
    case snapshot(SnapshotInfo)
    case moment(UnixMicroseconds)
  }

  func point(_ request: RestoreRequest, _ source: AccountRecord) async throws -> RestorePoint {
    guard let moment = request.moment else { return .snapshot(try await choose(request, source)) }
    let now = clock.now
    // The log may still write a past that the clock has not reached: nobody can promise it.
    guard moment <= now else {
      throw NodeError(.refused, "\(RFC3339.text(moment)) lies in the future: it is \(RFC3339.text(now)) here")
    }
    do {
      // So that a moment of this very minute can be restored. Of an account that is gone, or led elsewhere and never
      // archived here, the archive has what it has.
      if source.isActive {
        let isOurs = if leads(source) { true } else { try await backups.hasLog(source.id) }
        if isOurs { _ = try await backups.archiveLog(source.id) }
      }
      guard try await !backups.moments(of: source.id).isEmpty else {
        throw NodeError(.notFound, "this node's archive holds no snapshot of the account: see `komora snapshot list`")
      }
    } catch { throw NodeError(describing: error) }
    return .moment(moment)
  }

  func plan(
    _ point: RestorePoint, _ source: AccountRecord, only: RowSelection?
  ) async throws -> [String: String] {
    do {
      let part = try await planned(point, source, only)
      switch point {
      case .snapshot(let info):
        return info.result.merging(try await backups.plan(source.id, info.id)) { $1 }.merging(part) { $1 }
      case .moment(let moment): return try await backups.plan(source.id, at: moment).merging(part) { $1 }
      }
    } catch { throw NodeError(describing: error) }
  }

  func build(
    _ point: RestorePoint, _ source: AccountRecord, only: RowSelection?, as target: AccountRecord,
    placed: @escaping @Sendable () async throws -> Void, progress: @escaping MomentBackups.Progress
  ) async throws -> [String: String] {
    if let only {
      return try await backups.restoreSelection(
        source.id, point.merge, only, as: target.id, placed: placed, progress: progress)
    }
    switch point {
    case .snapshot(let info):
      return try await backups.restore(source.id, info.id, as: target.id, placed: placed, progress: progress)
    case .moment(let moment):
      return try await backups.restore(source.id, at: moment, as: target.id, placed: placed, progress: progress)
    }
  }

  /// The moments that this node's archive of the account can give back, by time.
  package func moments(account name: String) async throws(NodeError) -> [MomentSpan] {
    guard let record = archivedOrLiving(name) else {
      throw NodeError(.notFound, "there is no account of that name: see `komora account list`")
    }
    do { return try await backups.moments(of: record.id) } catch { throw NodeError(describing: error) }
  }
}
