// Changes of several callers as one transaction, as if they were made one after the other.
//
// Each plan is made on the view as the plans before it would leave it. What it rests on of theirs is no condition of the
// transaction any more; what it rests on of the store is. So two callers that add a name fight with other nodes once, not
// with each other. What a plan refuses is told only when the batch was made: it may rest on a plan before.

import ControlStores

struct ControlBatch {
  /// etcd takes 128 operations of each kind in one transaction.
  private static let operationsMax = 100
  /// What a key is at after a change of the batch: no store has come so far.
  private static let ownRevision = Int64.max

  private(set) var conditions: [ControlCondition] = []
  /// One for each key: the last.
  private(set) var changes: [ControlChange] = []
  private var places: [String: Int] = [:]
  private(set) var members: [PendingChange] = []
  /// For each member.
  private var answers: [@Sendable () -> Void] = []
  private var view: ControlView
  /// Changes that the view does not show yet.
  private var unseen: ArraySlice<ControlChange> = []
  private var isFull = false

  init(_ view: ControlView) { self.view = view }

  /// False when it has to wait for the next batch.
  mutating func add(_ change: PendingChange) -> Bool {
    guard !isFull, see() else { return false }
    do throws(NodeError) {
      let step = try change.plan(view)
      guard let outer = outerConditions(of: step) else { return false }
      let size = max(conditions.count + outer.count, changes.count + step.changes.count)
      guard members.isEmpty || size <= Self.operationsMax else { return false }
      for condition in outer where !conditions.contains(condition) { conditions.append(condition) }
      for change in step.changes { put(change) }
      answers.append(step.tell)
    } catch {
      answers.append { change.refuse(error) }
    }
    members.append(change)
    return true
  }

  /// Every member hears what came of it.
  func tell() { for answer in answers { answer() } }

  /// Brings the view up to what the members would change; false when one of these values cannot be read back.
  private mutating func see() -> Bool {
    while let change = unseen.popFirst() {
      do throws(NodeError) {
        switch change {
        case .put(let key, let value):
          try view.apply(.put(ControlEntry(key: key, value: value, revision: Self.ownRevision)))
        case .delete(let key): try view.apply(.deleted(key: key, revision: Self.ownRevision))
        }
      } catch {
        isFull = true
        return false
      }
    }
    return true
  }

  /// Those that the store has to fulfil; nil when the members before would break one.
  private func outerConditions(of step: PendingChange.Step) -> [ControlCondition]? {
    var outer: [ControlCondition] = []
    for condition in step.conditions {
      guard let place = places[condition.key] else {
        outer.append(condition)
        continue
      }
      let revision: Int64 = if case .put = changes[place] { Self.ownRevision } else { 0 }
      guard condition.revision == revision else { return nil }
    }
    return outer
  }

  private mutating func put(_ change: ControlChange) {
    unseen.append(change)
    if let place = places[change.key] {
      changes[place] = change
    } else {
      places[change.key] = changes.count
      changes.append(change)
    }
  }
}
