// What a control store is, in a hundred lines: the model that real etcd is compared with, operation by operation.

import Base
import ControlStores

struct ControlModel {
  struct Stored: Equatable {
    var value: [UInt8]
    var revision: ControlRevision
  }

  private(set) var revision: ControlRevision
  private(set) var entries: [String: Stored] = [:]
  /// Everything that changed, in order.
  private(set) var history: [ControlEvent] = []

  init(revision: ControlRevision) { self.revision = revision }

  mutating func transact(if conditions: [ControlCondition], then changes: [ControlChange]) -> ControlOutcome {
    for condition in conditions where (entries[condition.key]?.revision ?? 0) != condition.revision {
      return ControlOutcome(succeeded: false, revision: revision)
    }
    let next = revision + 1
    var events: [ControlEvent] = []
    for change in changes {
      switch change {
      case .put(let key, let value):
        entries[key] = Stored(value: value, revision: next)
        events.append(.put(ControlEntry(key: key, value: value, revision: next)))
      case .delete(let key):
        if entries.removeValue(forKey: key) != nil { events.append(.deleted(key: key, revision: next)) }
      }
    }
    // A transaction that changed nothing is no new revision.
    if !events.isEmpty { revision = next }
    history += events
    return ControlOutcome(succeeded: true, revision: revision)
  }

  func entry(_ key: String) -> ControlEntry? {
    entries[key].map { ControlEntry(key: key, value: $0.value, revision: $0.revision) }
  }

  func entries(prefix: String, limit: Int) -> ControlRange {
    let found = entries.keys.filter { $0.hasPrefix(prefix) }.sorted().prefix(limit).compactMap { entry($0) }
    return ControlRange(entries: found, revision: revision)
  }

  func events(prefix: String) -> [ControlEvent] {
    history.filter { $0.key.hasPrefix(prefix) }
  }

  /// A transaction on few keys, so that its conditions hold about half of the time.
  func randomTransaction(_ random: inout SeededGenerator) -> ([ControlCondition], [ControlChange]) {
    var keys = (0..<8).map { ($0 < 5 ? "near/" : "far/") + "\($0)" }
    var conditions: [ControlCondition] = []
    var changes: [ControlChange] = []
    for _ in 0...random.below(3) {
      let key = keys.remove(at: random.below(keys.count))
      if random.below(2) == 0 {
        let known = entries[key]?.revision ?? 0
        conditions.append(ControlCondition(key, at: random.below(4) == 0 ? known + 1 : known))
      }
      switch random.below(4) {
      case 0: changes.append(.delete(key))
      case 1: break
      default: changes.append(.put(key, (0..<random.below(40)).map { _ in UInt8(truncatingIfNeeded: random.next()) }))
      }
    }
    return (conditions, changes)
  }
}
