// What every kind of handle shares: its memory, its owner, its closing.
//
// libuv frees nothing itself and may report until the close callback has run. So the handle keeps its owner alive from
// `init` until then (one retain here, one release there), and the memory goes in the owner's deinit. Whoever drops an
// open handle loses nothing: the loop's stop closes it.
//
// A handle is made, used and closed on its loop's thread: by an actor pinned to the loop, or inside `submit`.

internal import CLibuv

package class UVHandle {
  package let loop: UVLoop
  let core: LoopCore
  let memory: UnsafeMutableRawPointer
  private enum Phase { case open, closing, closed }
  private var phase = Phase.open
  private var closers: [() -> Void] = []

  /// `start` is the init function of the handle's kind.
  init(
    _ kind: uv_handle_type, on loop: UVLoop,
    start: (UnsafeMutablePointer<uv_loop_t>, UnsafeMutableRawPointer) -> Int32
  ) throws(UVError) {
    self.loop = loop
    core = try loop.openCore()
    memory = .allocate(byteCount: uv_handle_size(kind), alignment: 16)
    try check(start(core.raw, memory), "open")
    handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    core.metrics.note(handles: 1)
  }

  deinit { memory.deallocate() }

  var handle: UnsafeMutablePointer<uv_handle_t> { memory.assumingMemoryBound(to: uv_handle_t.self) }
  package var isOpen: Bool { phase == .open }

  static func owner(of handle: UnsafeMutablePointer<uv_handle_t>) -> UVHandle {
    Unmanaged<UVHandle>.fromOpaque(handle.pointee.data).takeUnretainedValue()
  }

  /// Closes; `closed` runs when libuv has let go, at once if it already has. May be called more than once.
  package func close(_ closed: (() -> Void)? = nil) {
    loop.assertCurrent()
    if phase == .closed { closed?() } else if let closed { closers.append(closed) }
    guard phase == .open else { return }
    phase = .closing
    uv_close(handle) { handle in
      let owner = Unmanaged<UVHandle>.fromOpaque(handle!.pointee.data).takeRetainedValue()
      owner.core.call { owner.finishClosing() }
    }
  }

  private func finishClosing() {
    phase = .closed
    core.metrics.note(handles: -1)
    released()
    let waiting = closers
    closers = []
    for closer in waiting { closer() }
  }

  /// The loop stops: as `close`, but kinds that report why they closed say so.
  func closeForStop() { close() }

  /// libuv has let go: the kind drops its closures, which usually hold their owner.
  func released() {}
}
