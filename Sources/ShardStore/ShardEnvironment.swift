// What every shard of an engine shares: configuration, clock, and who runs its turns.

import Base
import Threads

struct ShardEnvironment: Sendable {
  let configuration: EngineConfiguration
  let clock: any StoreClock
  /// Runs a writer's turn or a read on a thread that may block; false when the engine has stopped. A simulation keeps the
  /// jobs and runs them as it likes.
  let runTurn: @Sendable (@escaping @Sendable () -> Void) -> Bool
  let runRead: @Sendable (@escaping @Sendable () -> Void) -> Bool
  /// Hears of every replica's log; set once, before any account opens.
  let sink = Lock<(any ReplicaSink)?>(nil)

  struct LeaseCheck {
    /// Whether this node may show what is published in the epoch: it leads, and nobody else can have acknowledged anything.
    var mayServe: (@Sendable (AccountID, Epoch) -> Bool)?
  }
  let lease = Lock(LeaseCheck())

  /// Runs `body` as a read and resumes the caller with what it gives or throws.
  func onReader<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
      if !runRead({ continuation.resume(with: Result(catching: body)) }) {
        continuation.resume(throwing: StoreError(.closed, "the node is stopping; ask another one"))
      }
    }
  }
}
