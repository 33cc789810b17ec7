// Something that is to be done once at the end of the callback that runs: what the steps of one callback want to send is
// gathered and leaves together. A `UVTurn` comes later, when every callback of the turn is over; what a tail hands to one
// is in time for it.

package final class UVTail {
  private let core: LoopCore
  private let onTail: () -> Void
  private var isPending = false

  /// The closure must not keep the owner of the tail.
  package init(on loop: UVLoop, onTail: @escaping () -> Void) throws(UVError) {
    core = try loop.openCore()
    self.onTail = onTail
  }

  /// On the loop. Outside of a callback, as after the loop's end, the closure runs at once.
  package func schedule() {
    guard !isPending else { return }
    isPending = true
    core.later { [self] in
      isPending = false
      onTail()
    }
  }
}
