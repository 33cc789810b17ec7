// The control store of a simulation: strictly serializable, with revisions, compare-and-set and a history for watches.
// It does at once and rightly what it is asked; who runs it makes it slow, late and deaf.

package struct SimulatedControlStore {
  package struct Change {
    package let key: String
    /// Nil for a key that was removed.
    package let value: [UInt8]?
    package let revision: Int64
  }

  package struct Entry {
    package let value: [UInt8]
    package let revision: Int64
  }

  /// Of the whole store.
  package private(set) var revision: Int64 = 0
  private var entries: [String: Entry] = [:]
  /// By revision, those after `compacted`.
  private var history: [(revision: Int64, changes: [Change])] = []
  private var compacted: Int64 = 0

  package init() {}

  package func entry(_ key: String) -> Entry? { entries[key] }

  package func entries(prefix: String) -> [(key: String, entry: Entry)] {
    entries.filter { $0.key.hasPrefix(prefix) }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// Puts all, when each key is at the revision that stands with it (0: absent), or nothing: then nil.
  package mutating func transact(_ puts: [(key: String, value: [UInt8]?, revision: Int64)]) -> [Change]? {
    guard puts.allSatisfy({ (entries[$0.key]?.revision ?? 0) == $0.revision }) else { return nil }
    revision += 1
    let changes = puts.map { Change(key: $0.key, value: $0.value, revision: revision) }
    for change in changes { entries[change.key] = change.value.map { Entry(value: $0, revision: revision) } }
    history.append((revision, changes))
    return changes
  }

  /// What a watch from `revision` on has missed; nil when that is forgotten.
  package func changes(from revision: Int64) -> [[Change]]? {
    guard revision > compacted else { return nil }
    return history.filter { $0.revision >= revision }.map(\.changes)
  }

  /// Forgets all history up to now.
  package mutating func compact() {
    compacted = revision
    history = []
  }
}
