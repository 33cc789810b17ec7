// The uv_loop_t and what its handles share, owned by the loop's thread and touched by no other.

internal import CLibuv

final class LoopCore {
  let raw: UnsafeMutablePointer<uv_loop_t>
  let metrics: LoopMetrics
  let slowLimit: UInt64
  private(set) var isStopping = false
  /// 1 while a callback runs.
  private var depth = 0
  private var isTailing = false
  private var tails: [() -> Void] = []
  /// libuv asks for memory right before it reads and reports right after, so all sockets of the loop share one buffer.
  /// 64 KiB holds every datagram.
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

  init(metrics: LoopMetrics, slowLimit: Duration) {
    self.metrics = metrics
    self.slowLimit = UInt64(clamping: slowLimit.nanoseconds)
    raw = .allocate(capacity: 1)
    precondition(uv_loop_init(raw) == 0, "libuv: no loop")
  }

  deinit {
    raw.deallocate()
    buffer.deallocate()
  }

  /// Runs a callback, then what it left for its end.
  func call(_ body: () -> Void) {
    guard depth == 0 else { return measure(body) }
    depth = 1
    measure(body)
    if !tails.isEmpty { measure(runTails) }
    depth = 0
  }

  func measure(_ body: () -> Void) {
    let start = uv_hrtime()
    body()
    metrics.note(callback: uv_hrtime() - start, limit: slowLimit)
  }

  private func runTails() {
    isTailing = true
    var next = 0
    while next < tails.count {
      let tail = tails[next]
      next += 1
      tail()
    }
    tails.removeAll(keepingCapacity: true)
    isTailing = false
  }

  /// At the end of the callback that runs, else at once.
  func later(_ body: @escaping () -> Void) { if depth > 0 { tails.append(body) } else { body() } }

  /// A callback runs that has not come to its end: what is left for it need not wake the loop.
  var isCalling: Bool { depth > 0 && !isTailing }

  /// Runs what is ready, waits for it when `waiting`; false when no handle is left.
  func turn(waiting: Bool) -> Bool { uv_run(raw, waiting ? UV_RUN_ONCE : UV_RUN_NOWAIT) != 0 }

  /// Begins to close every handle; each owner hears of it.
  func closeAll() {
    isStopping = true
    uv_walk(raw, { handle, _ in UVHandle.owner(of: handle!).closeForStop() }, nil)
  }

  /// All handles are closed and their callbacks done; anything else is a leak.
  func finish() {
    let result = uv_loop_close(raw)
    precondition(result == 0, "libuv: the loop still has handles")
  }

  func lend(_ target: UnsafeMutablePointer<uv_buf_t>) {
    target.pointee = uv_buf_init(buffer.baseAddress!.assumingMemoryBound(to: CChar.self), UInt32(buffer.count))
  }
}

extension Duration {
  /// Whole nanoseconds, clamped to what 64 bits hold.
  package var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    if overflow { return seconds < 0 ? .min : .max }
    let (sum, more) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
    return more ? (seconds < 0 ? .min : .max) : sum
  }
}
