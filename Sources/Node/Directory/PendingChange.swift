// A change to the control store that waits for its transaction: its plan, and how its caller hears of it.

import ControlStores
import Threads

/// What a change would do to the store, if nothing that it rests on has changed.
struct PlannedChange<T: Sendable>: Sendable {
  var conditions: [ControlCondition] = []
  var changes: [ControlChange]
  var value: T
}

struct PendingChange: Sendable {
  /// A plan of any type, and what its caller is told when it was made.
  struct Step: Sendable {
    var conditions: [ControlCondition]
    var changes: [ControlChange]
    var tell: @Sendable () -> Void
  }

  /// Throws what the caller is told when nothing is to be done.
  let plan: @Sendable (ControlView) throws(NodeError) -> Step
  let refuse: @Sendable (NodeError) -> Void
  let deadline: ContinuousClock.Instant
  /// Transactions with it that others were faster than.
  var refusals = 0

  init<T: Sendable>(
    until deadline: ContinuousClock.Instant, _ continuation: CheckedContinuation<Result<T, NodeError>, Never>,
    _ plan: @escaping @Sendable (ControlView) throws(NodeError) -> PlannedChange<T>
  ) {
    self.deadline = deadline
    self.plan = { view throws(NodeError) in
      let planned = try plan(view)
      return Step(conditions: planned.conditions, changes: planned.changes) {
        continuation.resume(returning: .success(planned.value))
      }
    }
    refuse = { continuation.resume(returning: .failure($0)) }
  }
}
