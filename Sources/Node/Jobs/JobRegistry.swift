// The jobs of a node: queued in order, run a few at a time, watched by whoever asks.
//
// They live in memory: work that a crash interrupts is safe to run again, and is named again by whoever needs it. A job
// starts a task of its own; `close` stops all and waits for them. Work on threads hears of it by its `JobScope`, the rest by
// the task. Statuses of finished jobs are kept for a
// while and then forgotten.

package import Backup
import Base
import OpenSSL
package import ShardStore
import Threads

package final class JobRegistry: Sendable {
  /// Tells how far a job has come. Its result is what the body returns.
  package struct Reporter: Sendable {
    let registry: JobRegistry
    let id: JobID
    package func report(_ progress: Double, _ message: String) { registry.report(id, progress, message) }
    /// What the job found, beside its result.
    package func attach(_ diff: DiffReport) { registry.state.with { $0.jobs[id]?.diff = diff } }
    package func attach(_ merge: MergeReport) { registry.state.with { $0.jobs[id]?.merge = merge } }
    package func attach(_ findings: [VerifyFinding]) { registry.state.with { $0.jobs[id]?.findings = findings } }
  }
  package typealias Body = @Sendable (Reporter) async throws -> [String: String]

  private struct Watcher {
    var stream: AsyncStream<JobStatus>.Continuation
    var wantsAll: Bool
  }

  private struct State {
    var jobs: [JobID: JobStatus] = [:]
    var waiting: [(id: JobID, body: Body)] = []
    var tasks: [JobID: Task<Void, Never>] = [:]
    var flags: [JobID: CancelFlag] = [:]
    var watchers: [JobID: [UInt64: Watcher]] = [:]
    var nextWatcher: UInt64 = 0
    /// Jobs whose watchers have not heard yet of their newest status.
    var untold: Set<JobID> = []
    /// Why jobs end that were cancelled one by one.
    var cancelled: [JobID: NodeError] = [:]
    var closed = false
  }
  private let state = Lock(State())
  /// Held while watchers are told, so that none hears an older status behind a newer one.
  private let telling = Lock(())
  private let parallel: Int
  private let history: Duration
  private let clock: any StoreClock

  /// At most `parallel` run at a time; a finished one is forgotten after `history`.
  package init(parallel: Int, history: Duration, clock: any StoreClock) {
    self.parallel = parallel
    self.history = history
    self.clock = clock
  }

  /// Queues `body`; `result` is shown until it has one. A job of the same kind and account that has not ended yet is given
  /// instead when `sharing` is set. `id` is that of a job that goes on after a restart.
  package func start(
    _ kind: JobKind, account: String, sharing: Bool, result: [String: String] = [:], id known: JobID? = nil,
    _ body: @escaping Body
  ) throws(NodeError) -> JobID {
    var random = SystemRandom()
    let id = known ?? JobID(from: &random)
    let now = clock.now
    defer { tell() }
    return try state.with { state throws(NodeError) in
      guard !state.closed else { throw NodeError(.unavailable, "the node is stopping: try again in a moment") }
      Self.forget(&state, before: now - history.wholeMicroseconds)
      let running = state.jobs.values.first { $0.kind == kind && $0.account == account && !$0.state.isFinal }
      if sharing, let running { return running.id }
      state.jobs[id] = JobStatus(
        id: id, kind: kind, account: account, state: .waiting, progress: 0, message: "waiting", result: result,
        failure: nil, createdAt: now, finishedAt: nil)
      state.waiting.append((id, body))
      startWaiting(&state)
      return id
    }
  }

  package func status(_ id: JobID) -> JobStatus? { state.with { $0.jobs[id] } }
  package var all: [JobStatus] { state.with { $0.jobs.values.sorted { $0.createdAt < $1.createdAt } } }

  /// The status now, each later one, and the end of the stream behind the last. Empty for an unknown job.
  package func events(_ id: JobID) -> AsyncStream<JobStatus> { watch(id, wantsAll: true) }

  /// The status when it has ended, and the end of the stream. Empty for an unknown job.
  package func end(of id: JobID) -> AsyncStream<JobStatus> { watch(id, wantsAll: false) }

  private func watch(_ id: JobID, wantsAll: Bool) -> AsyncStream<JobStatus> {
    // Only the newest status matters to somebody who reads slowly.
    let (stream, continuation) = AsyncStream.makeStream(of: JobStatus.self, bufferingPolicy: .bufferingNewest(1))
    state.with { state in
      guard let status = state.jobs[id] else { return continuation.finish() }
      if wantsAll || status.state.isFinal { continuation.yield(status) }
      guard !status.state.isFinal else { return continuation.finish() }
      let watcher = state.nextWatcher
      state.nextWatcher += 1
      state.watchers[id, default: [:]][watcher] = Watcher(stream: continuation, wantsAll: wantsAll)
      continuation.onTermination = { [weak self] _ in self?.unwatch(id, watcher) }
    }
    return stream
  }

  /// Ends one job with `reason`; returns when it has ended. Nothing happens to one that has ended already.
  package func cancel(_ id: JobID, _ reason: NodeError) async {
    let task = state.with { state -> Task<Void, Never>? in
      if let place = state.waiting.firstIndex(where: { $0.id == id }) {
        state.waiting.remove(at: place)
        Self.fail(&state, id, reason, clock.now, as: .cancelled)
      } else if state.tasks[id] != nil {
        state.cancelled[id] = reason
        state.flags[id]?.set()
      }
      return state.tasks[id]
    }
    tell()
    task?.cancel()
    await task?.value
  }

  /// Cancels what runs, refuses what comes, and waits until every task has ended.
  package func close() async {
    let tasks = state.with { state in
      state.closed = true
      for job in state.waiting { Self.fail(&state, job.id, Self.stopped, clock.now) }
      state.waiting = []
      for flag in state.flags.values { flag.stop() }
      return Array(state.tasks.values)
    }
    tell()
    for task in tasks { task.cancel() }
    for task in tasks { await task.value }
  }

  private static let stopped = NodeError(.unavailable, "the node stopped before the job ended: start it again")

  private func unwatch(_ id: JobID, _ watcher: UInt64) {
    // The continuation is let go outside the lock: ending a stream may call back here.
    _ = state.with { $0.watchers[id]?.removeValue(forKey: watcher) }
  }

  private func startWaiting(_ state: inout State) {
    while !state.waiting.isEmpty, state.tasks.count < parallel, !state.closed {
      let (id, body) = state.waiting.removeFirst()
      state.jobs[id]?.state = .running
      state.jobs[id]?.message = "running"
      state.untold.insert(id)
      // Owned by `tasks` until it ends; cancelled and awaited by `close`.
      let scope = JobScope()
      state.flags[id] = scope.cancel
      state.tasks[id] = Task { await JobScope.$current.withValue(scope) { await self.run(id, body) } }
    }
  }

  private func run(_ id: JobID, _ body: Body) async {
    let outcome: Result<[String: String], NodeError>
    do {
      outcome = .success(try await body(Reporter(registry: self, id: id)))
    } catch let error as NodeError {
      outcome = .failure(error)
    } catch is CancellationError {
      outcome = .failure(Self.stopped)
    } catch {
      outcome = .failure(NodeError(.io, "\(error)"))
    }
    state.with { state in
      state.tasks[id] = nil
      let flag = state.flags.removeValue(forKey: id)
      let reason = state.cancelled.removeValue(forKey: id)
      switch outcome {
      case .success(let result): Self.finish(&state, id, result, clock.now)
      case .failure(let error):
        if let reason {
          Self.fail(&state, id, reason, clock.now, as: .cancelled)
        } else {
          Self.fail(&state, id, flag?.keepsWork == true ? Self.stopped : error, clock.now)
        }
      }
      startWaiting(&state)
    }
    tell()
  }

  private func report(_ id: JobID, _ progress: Double, _ message: String) {
    state.with { state in
      guard let job = state.jobs[id], job.state == .running else { return }
      state.jobs[id]?.progress = max(job.progress, min(max(progress, 0), 1))
      state.jobs[id]?.message = message
      state.untold.insert(id)
    }
    tell()
  }

  private static func finish(_ state: inout State, _ id: JobID, _ result: [String: String], _ now: UnixMicroseconds) {
    state.jobs[id]?.state = .done
    state.jobs[id]?.progress = 1
    state.jobs[id]?.message = "done"
    state.jobs[id]?.result = result
    state.jobs[id]?.finishedAt = now
    state.untold.insert(id)
  }

  private static func fail(
    _ state: inout State, _ id: JobID, _ error: NodeError, _ now: UnixMicroseconds, as end: JobState = .failed
  ) {
    state.jobs[id]?.state = end
    state.jobs[id]?.message = error.message
    state.jobs[id]?.failure = error
    state.jobs[id]?.finishedAt = now
    state.untold.insert(id)
  }

  /// Called behind every change, never under `state`'s lock: whoever cancels a watcher's task holds a lock of the runtime's
  /// that a yield wants as well, and asks for `state`'s to forget the watcher.
  private func tell() {
    telling.with { _ in
      while let (status, watchers) = state.with({ Self.takeUntold(&$0) }) {
        for continuation in watchers { continuation.yield(status) }
        guard status.state.isFinal else { continue }
        for continuation in watchers {
          // They are forgotten already.
          continuation.onTermination = nil
          continuation.finish()
        }
      }
    }
  }

  private static func takeUntold(_ state: inout State) -> (JobStatus, [AsyncStream<JobStatus>.Continuation])? {
    while let id = state.untold.popFirst() {
      guard let status = state.jobs[id] else { continue }
      guard status.state.isFinal else {
        return (status, (state.watchers[id] ?? [:]).values.filter(\.wantsAll).map(\.stream))
      }
      return (status, (state.watchers.removeValue(forKey: id) ?? [:]).values.map(\.stream))
    }
    return nil
  }

  private static func forget(_ state: inout State, before: UnixMicroseconds) {
    state.jobs = state.jobs.filter { ($0.value.finishedAt ?? .max) >= before }
  }
}
