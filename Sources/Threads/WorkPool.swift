// A few threads that run short jobs in the order in which they came.
//
// The queue and the sleepers share one lock: a job is either seen by a thread that looks before it sleeps, or its signal
// comes after that thread has begun to wait. No wake-up can fall between.

public final class WorkPool: Sendable {
  public typealias Job = @Sendable () -> Void

  private struct State {
    /// Those before `next` have been taken, and are gone: a job may hold much.
    var jobs: [Job?] = []
    var next = 0
    var stopping = false
    var isEmpty: Bool { next == jobs.count }

    mutating func take() -> Job? {
      guard !isEmpty else { return nil }
      let job = jobs[next]
      jobs[next] = nil
      next += 1
      if next > 1024, next * 2 > jobs.count {
        jobs.removeFirst(next)
        next = 0
      } else if isEmpty {
        jobs.removeAll(keepingCapacity: true)
        next = 0
      }
      return job
    }
  }

  private let state = Lock(State())
  private let threads: [Thread]

  public init(name: String, threads count: Int, priority: ThreadPriority = .normal) {
    let state = state
    threads = (0..<count).map { i in
      Thread(name: "\(name)-\(i)", priority: priority) {
        while let job = state.wait(until: { !$0.isEmpty || $0.stopping }, { $0.take() }) { job() }
      }
    }
  }

  /// Queues `job`. After `stop` it is refused and `false` comes back.
  @discardableResult
  public func run(_ job: @escaping Job) -> Bool {
    let taken = state.with { s in
      guard !s.stopping else { return false }
      s.jobs.append(job)
      return true
    }
    if taken { state.wakeOne() }
    return taken
  }

  /// Jobs wait for a thread.
  public var hasBacklog: Bool { state.with { !$0.isEmpty } }

  /// Runs `body` on the pool and resumes the caller with what it gives or throws.
  public func perform<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
      if !run({ continuation.resume(with: Result(catching: body)) }) {
        continuation.resume(throwing: WorkPoolStopped())
      }
    }
  }

  /// Runs what is queued, then ends the threads. Called once, not from a job.
  public func stop() {
    state.with { $0.stopping = true }
    state.wake()
    for thread in threads { thread.join() }
  }
}

/// A job came after `stop`.
public struct WorkPoolStopped: Error {}
