// A timer, once or again and again.
//
// libuv counts in whole milliseconds from a cached clock, so it may fire early; ours keeps the deadline in nanoseconds
// and waits on when it does. It never fires early; it is late by less than a millisecond plus the loop's lag. A repeating
// timer keeps its beat: the next deadline follows from the last deadline, not from the call, and beats that the loop
// slept through are left out, not made up for.

internal import CLibuv

package final class UVTimer: UVHandle {
  private var onFire: ((Duration) -> Void)?
  /// In the loop's monotonic nanoseconds; nil while stopped.
  private var deadline: UInt64?
  private var interval: UInt64?

  /// `onFire` hears how late it is.
  package init(on loop: UVLoop, onFire: @escaping (Duration) -> Void) throws(UVError) {
    self.onFire = onFire
    try super.init(UV_TIMER, on: loop) { raw, memory in
      uv_timer_init(raw, memory.assumingMemoryBound(to: uv_timer_t.self))
    }
  }

  private var timer: UnsafeMutablePointer<uv_timer_t> { memory.assumingMemoryBound(to: uv_timer_t.self) }
  package var isRunning: Bool { deadline != nil }

  /// Fires after `delay`, then every `interval` (at least 1 ms). A second start replaces the first.
  package func start(after delay: Duration, every interval: Duration? = nil) {
    loop.assertCurrent()
    guard isOpen else { return }
    self.interval = interval.map { UInt64(max($0.nanoseconds, 1_000_000)) }
    let (sum, overflow) = uv_hrtime().addingReportingOverflow(UInt64(max(delay.nanoseconds, 0)))
    deadline = overflow ? .max : sum
    arm()
  }

  package func stop() {
    loop.assertCurrent()
    deadline = nil
    if isOpen { uv_timer_stop(timer) }
  }

  private func arm() {
    guard let deadline else { return }
    uv_update_time(core.raw)
    let now = uv_hrtime()
    let milliseconds = deadline <= now ? 0 : (deadline - now - 1) / 1_000_000 + 1
    uv_timer_start(
      timer,
      { handle in
        let owner = Unmanaged<UVTimer>.fromOpaque(handle!.pointee.data).takeUnretainedValue()
        owner.fired()
      }, milliseconds, 0)
  }

  private func fired() {
    guard let due = deadline else { return }
    let now = uv_hrtime()
    guard now >= due else { return arm() }
    if let interval {
      deadline = due + interval * ((now - due) / interval + 1)
      arm()
    } else {
      deadline = nil
    }
    core.call { onFire?(.nanoseconds(Int64(clamping: now - due))) }
  }

  override func released() {
    deadline = nil
    onFire = nil
  }
}
