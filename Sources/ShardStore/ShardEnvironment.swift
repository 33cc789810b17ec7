// What every shard of an engine shares: configuration, clock, and who runs its turns.

import Base

struct ShardEnvironment: Sendable {
  let configuration: EngineConfiguration
  let clock: any StoreClock
  /// Runs a writer's turn or a read on a thread that may block. A simulation keeps the jobs and runs them as it likes.
  let runTurn: @Sendable (@escaping @Sendable () -> Void) -> Void
  let runRead: @Sendable (@escaping @Sendable () -> Void) -> Void
}
