// Snapshots, restores and verifications as jobs.

package import Backup
import Base
import Control
import Formats
import ShardStore
import Threads

extension NodeService {
  package func job(_ id: JobID) -> JobStatus? { jobs.status(id) }
  package func jobEvents(_ id: JobID) -> AsyncStream<JobStatus> { jobs.events(id) }

  /// Returns when the job has ended, or after `most`.
  package func waitForJob(_ id: JobID, atMost most: Duration) async {
    let end = jobs.end(of: id)
    await withTaskGroup(of: Void.self) { group in
      // The stream ends with the job, and for whoever is cancelled.
      group.addTask { for await _ in end {} }
      group.addTask { try? await Task.sleep(for: most) }
      await group.next()
      group.cancelAll()
    }
  }

  /// Oldest first.
  package func allJobs() -> [JobStatus] { jobs.all }

  /// A snapshot that is already under way is given instead of a second one.
  package func startSnapshot(account name: String) throws(NodeError) -> JobID {
    let account = try account(named: name)
    guard account.isActive else { throw NodeError(.refused, "the account is not active") }
    try checkHeld(account)
    return try startSnapshot(account, .manual)
  }

  func startSnapshot(_ account: AccountRecord, _ kind: SnapshotKind) throws(NodeError) -> JobID {
    let (backups, metrics, clock) = (backups, metrics, clock)
    return try jobs.start(.snapshot, account: account.name, sharing: true) { reporter in
      let began = clock.now
      let times = SnapshotTimes()
      do {
        let info = try await backups.snapshot(account.id, kind) { fraction, step in
          times.note(fraction)
          reporter.report(fraction, step)
        }
        // The first snapshot is what the archived log begins behind. A failure is the loop's to tell, which tries again.
        _ = try? await backups.archiveLog(account.id)
        metrics.counter("komora_snapshots_total", [("outcome", "done")]).increment()
        metrics.histogram("komora_snapshot_seconds").observe(.microseconds(clock.now - began))
        return info.result.merging(times.result) { $1 }
      } catch {
        metrics.counter("komora_snapshots_total", [("outcome", "failed")]).increment()
        throw NodeError(describing: error)
      }
    }
  }

  /// Those in this node's archive, newest last: whoever led the account when a snapshot was taken has it.
  package func snapshots(account name: String) async throws(NodeError) -> [SnapshotInfo] {
    let account = try archivedAccount(name)
    do {
      return try await backups.snapshots(of: account.id)
    } catch {
      throw NodeError(describing: error)
    }
  }

  package func startRestore(_ request: RestoreRequest) throws(NodeError) -> JobID {
    let source = try archivedAccount(request.account)
    try AccountName.check(request.target)
    if let running = runningRestore(like: request) { return running }
    if control.view.with({ $0[name: request.target] }) != nil {
      throw NodeError(.exists, "an account named like the target exists already: choose another name for --as")
    }
    return try jobs.start(.restore, account: request.account, sharing: false, result: Self.words(request)) { reporter in
      try await self.restore(request, from: source, reporter)
    }
  }

  private func restore(
    _ request: RestoreRequest, from source: AccountRecord, _ reporter: JobRegistry.Reporter
  ) async throws -> [String: String] {
    let point = try await point(request, source)
    var result = try await plan(point, source, only: request.only)
    result["source"] = "archive"
    guard !request.dryRun else {
      result["dry_run"] = "true"
      result["would_create"] = request.target
      return result
    }
    let target = try await reserve(name: request.target, source.options, as: .restoring)
    return try await restore(point, from: source, to: target, only: request.only, reporter, result)
  }

  /// Makes the account, or goes on with one that an earlier process began; a part is begun anew.
  func restore(
    _ point: RestorePoint, from source: AccountRecord, to target: AccountRecord, only: RowSelection? = nil,
    _ reporter: JobRegistry.Reporter, _ result: [String: String]
  ) async throws -> [String: String] {
    var (result, scope) = (result, JobScope.current)
    scope.note = RestoreNote(job: reporter.id, source: source.id, point: point).bytes
    do {
      let alone = VoterSet(goal: .none, voters: [ownVoter])
      let facts = try await JobScope.$current.withValue(scope) {
        try await build(
          point, source, only: only, as: target, placed: { try await self.beginShard(target.id, alone) },
          progress: { reporter.report($0 * 0.9, $1) })
      }
      _ = try await setState(target.id, .active)
      if let cluster {
        reporter.report(0.95, "copying to other nodes")
        result["survives"] = await waitForCopies(of: target, in: cluster).rawValue
      }
      metrics.counter("komora_restores_total", [("outcome", "done")]).increment()
      return result.merging(facts) { $1 }.merging(["account": target.name]) { $1 }
    } catch {
      // The next process goes on with it.
      if scope.cancel.keepsWork { throw NodeError(describing: error) }
      metrics.counter("komora_restores_total", [("outcome", scope.cancel.isSet ? "cancelled" : "failed")]).increment()
      await regardless { await self.dropRestore(of: target.id) }
      throw NodeError(describing: error)
    }
  }

  private static let copiesWait = Duration.seconds(120)

  /// A restored account begins with this node as its only voter, since the others need its base; the caretaker gives it
  /// more. What it survives by then.
  private func waitForCopies(of account: AccountRecord, in cluster: ClusterService) async -> Survival {
    let wanted = (try? await cluster.place(account.options).voters.count) ?? 1
    let end = ContinuousClock.now + Self.copiesWait
    while ContinuousClock.now < end, !Task.isCancelled {
      let shard = control.view.with { $0.shards[account.id]?.record }
      guard let shard, shard.voters.count < wanted || !shard.previous.isEmpty else { break }
      try? await Task.sleep(for: .milliseconds(100))
    }
    return control.view.with { $0.shown(account) }.survives
  }

  func choose(_ request: RestoreRequest, _ source: AccountRecord) async throws -> SnapshotInfo {
    let all = try await backups.snapshots(of: source.id)
    let found = request.snapshot.map { wanted in all.last { $0.id == wanted } } ?? all.last
    guard let found else {
      throw NodeError(.notFound, "there is no such snapshot in the archive: see `komora snapshot list`")
    }
    return found
  }

  private func archivedAccount(_ name: String) throws(NodeError) -> AccountRecord {
    guard let record = control.view.with({ $0.archived(name) }) else {
      throw NodeError(.notFound, "there is no account of that name: see `komora account list`")
    }
    return record
  }
}

extension SnapshotInfo {
  /// As a job's result shows it.
  var result: [String: String] {
    [
      "snapshot": "\(id)", "created_at": RFC3339.text(createdAt), "state": "\(state)", "position": "\(position)",
      "bytes": "\(bytes)", "added_bytes": "\(addedBytes)", "recordings": "\(recordings)",
    ]
  }
}
