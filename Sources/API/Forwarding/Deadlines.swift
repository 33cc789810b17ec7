// Answers clients whose time is over while what they asked for still waits: a write that no write set has synced stays
// where it is until a later epoch decides, and nobody can call it back.
//
// One list for all requests, looked at every few milliseconds: cheaper than a timer for each, and late by no more than
// that.

import ServiceLifecycle
import ShardStore
import Threads

final class Deadlines: Service {
  private struct State {
    var waiting: [UInt64: (at: ContinuousClock.Instant, fire: @Sendable () -> Void)] = [:]
    var next: UInt64 = 0
  }

  private static let interval = Duration.milliseconds(20)
  private let state = Lock(State())

  func run() async throws {
    while !Task.isShuttingDownGracefully, !Task.isCancelled {
      let now = ContinuousClock.now
      let due = state.with { state in
        let due = state.waiting.filter { $0.value.at <= now }
        for token in due.keys { state.waiting[token] = nil }
        return due.values.map(\.fire)
      }
      for fire in due { fire() }
      try? await Task.sleep(for: Self.interval)
    }
    // Whoever still waits is told now: nobody looks any more.
    for (_, waiting) in state.with({ $0.waiting }) { waiting.fire() }
  }

  /// `fire` is called once the moment has come, unless it was removed before; more than once never.
  func add(_ moment: ContinuousClock.Instant, _ fire: @escaping @Sendable () -> Void) -> UInt64 {
    state.with { state in
      state.next += 1
      state.waiting[state.next] = (moment, fire)
      return state.next
    }
  }

  func remove(_ token: UInt64) { state.with { $0.waiting[token] = nil } }

  /// What `work` gives. At the deadline `work` goes on alone, and its effect is not known here.
  func bound<T: Sendable>(
    _ deadline: ContinuousClock.Instant, _ work: @escaping @Sendable () async throws -> T
  ) async throws -> T {
    let waiter = Lock<CheckedContinuation<T, any Error>?>(nil)
    return try await withCheckedThrowingContinuation { continuation in
      waiter.with { $0 = continuation }
      let token = add(deadline) { waiter.with { $0.take() }?.resume(throwing: Self.late) }
      Task {
        let outcome: Result<T, any Error>
        do { outcome = .success(try await work()) } catch { outcome = .failure(error) }
        self.remove(token)
        waiter.with { $0.take() }?.resume(with: outcome)
      }
    }
  }

  static let late = StoreError(
    .unknown, "the request's time was over before enough nodes had it: whether it is applied is not known yet")
}
