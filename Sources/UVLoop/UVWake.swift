// Wakes the loop from another thread (uv_async_t), the one call of libuv that any thread may make.

internal import CLibuv

final class UVWake: UVHandle {
  private var onWake: (() -> Void)?

  init(on loop: UVLoop, onWake: @escaping () -> Void) throws(UVError) {
    self.onWake = onWake
    try super.init(.init(UV_ASYNC.rawValue), on: loop) { raw, memory in
      uv_async_init(raw, memory.assumingMemoryBound(to: uv_async_t.self)) { handle in
        let owner = Unmanaged<UVWake>.fromOpaque(handle!.pointee.data).takeUnretainedValue()
        owner.onWake?()
      }
    }
  }

  /// From any thread, as long as the handle is open: the caller holds the inbox's lock, under which it is taken away.
  func send() { uv_async_send(memory.assumingMemoryBound(to: uv_async_t.self)) }

  override func released() { onWake = nil }
}
