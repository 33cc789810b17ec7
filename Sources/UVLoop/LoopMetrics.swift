// What the loop says of itself: how late it is and what held it up. Read from any thread.

internal import Synchronization

package final class LoopMetrics: Sendable {
  private let lastLag = Atomic<UInt64>(0)
  private let worstLag = Atomic<UInt64>(0)
  private let slow = Atomic<UInt64>(0)
  private let worstCall = Atomic<UInt64>(0)
  private let jobs = Atomic<UInt64>(0)
  private let handles = Atomic<Int>(0)

  /// How late the periodic probe fired last time, and at worst since `takeWorst`.
  package var lag: Duration { .nanoseconds(Int64(clamping: lastLag.load(ordering: .relaxed))) }
  /// Callbacks and jobs that took longer than the limit, since the start.
  package var slowCallbacks: Int { Int(clamping: slow.load(ordering: .relaxed)) }
  /// Jobs of actors and of `submit` that have run, since the start.
  package var jobsRun: Int { Int(clamping: jobs.load(ordering: .relaxed)) }
  /// Handles that are open or closing, the loop's own two included; 0 after the stop.
  package var openHandles: Int { handles.load(ordering: .relaxed) }

  /// The worst lag and the longest callback since the last call.
  package func takeWorst() -> (lag: Duration, callback: Duration) {
    let lag = worstLag.exchange(0, ordering: .relaxed)
    let call = worstCall.exchange(0, ordering: .relaxed)
    return (.nanoseconds(Int64(clamping: lag)), .nanoseconds(Int64(clamping: call)))
  }

  func note(lag nanoseconds: UInt64) {
    lastLag.store(nanoseconds, ordering: .relaxed)
    worstLag.max(nanoseconds, ordering: .relaxed)
  }

  func note(callback nanoseconds: UInt64, limit: UInt64) {
    if nanoseconds > limit { slow.add(1, ordering: .relaxed) }
    if nanoseconds > worstCall.load(ordering: .relaxed) { worstCall.max(nanoseconds, ordering: .relaxed) }
  }

  func note(jobs count: Int) { jobs.add(UInt64(count), ordering: .relaxed) }
  func note(handles change: Int) { handles.add(change, ordering: .relaxed) }
}
