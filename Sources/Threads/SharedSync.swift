// Lets threads that want the same thing durable share its syncs.
//
// A sync makes durable what was written before it began. So who comes while one runs waits for the next one, and one of
// those who wait makes it for all: however many come, two syncs are the most that anybody waits for.

public final class SharedSync<Failure: Error>: Sendable {
  private struct State {
    var begun: UInt64 = 0
    var ended: UInt64 = 0
    var failure: Failure?
  }

  private let state = Lock(State())

  public init() {}

  /// Returns once a run of `sync` that began after this call has ended. After a failed one every call fails: what it was
  /// to make durable may be lost although the next one succeeds.
  public func run(_ sync: () throws(Failure) -> Void) throws(Failure) {
    let wanted = state.with { $0.begun + 1 }
    let mustRun = state.wait(until: { $0.failure != nil || $0.ended >= wanted || $0.begun == $0.ended }) { s in
      guard s.failure == nil, s.ended < wanted else { return false }
      s.begun += 1
      return true
    }
    if mustRun {
      var failure: Failure?
      do { try sync() } catch { failure = error }
      state.with { s in
        s.ended = s.begun
        s.failure = failure
      }
      state.wake()
    }
    if let failure = state.with({ $0.failure }) { throw failure }
  }
}
