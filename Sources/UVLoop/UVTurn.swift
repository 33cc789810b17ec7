// Something that is to be done once before the loop waits again (uv_prepare_t): what several steps of one turn produce
// leaves together, and none of them waits for a timer.

internal import CLibuv

package final class UVTurn: UVHandle {
  private var onTurn: (() -> Void)?
  package private(set) var isPending = false

  package init(on loop: UVLoop, onTurn: @escaping () -> Void) throws(UVError) {
    self.onTurn = onTurn
    try super.init(.init(UV_PREPARE.rawValue), on: loop) { raw, memory in
      uv_prepare_init(raw, memory.assumingMemoryBound(to: uv_prepare_t.self))
    }
  }

  /// Runs the closure once, before the loop waits next.
  package func schedule() {
    loop.assertCurrent()
    guard isOpen, !isPending else { return }
    isPending = true
    uv_prepare_start(memory.assumingMemoryBound(to: uv_prepare_t.self)) { handle in
      let owner = Unmanaged<UVTurn>.fromOpaque(handle!.pointee.data).takeUnretainedValue()
      owner.turned()
    }
  }

  private func turned() {
    uv_prepare_stop(memory.assumingMemoryBound(to: uv_prepare_t.self))
    isPending = false
    core.call { onTurn?() }
  }

  override func released() { onTurn = nil }
}
