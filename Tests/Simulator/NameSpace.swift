// The directories of a forgetful disk: names as processes see them, names that are durable, and the changes in between.
//
// Nodes are numbers; each has at most one name. A change is kept or forgotten as a whole: after a crash a renamed file
// has its old name or its new one. Syncing a directory makes its names durable, and both ends of renames into or out of
// it.

internal import Base

struct NameSpace {
  struct Entry: Equatable {
    var directory: Int
    var name: String
  }

  private struct Change {
    var node: Int
    var from: Entry?
    var to: Entry?
  }

  static let root = 0
  private(set) var current: [Int: [String: Int]] = [root: [:]]
  private var durable: [Int: [String: Int]] = [root: [:]]
  private var unsynced: [Change] = []

  func isDirectory(_ node: Int) -> Bool { current[node] != nil }

  /// The directory in which `path` lies and its last component; nil when a directory above is missing.
  func parent(of path: String) -> Entry? {
    var components = path.split(separator: "/").filter { $0 != "." }.map(String.init)
    precondition(!components.contains(".."), "the simulated disk knows no ..")
    guard let last = components.popLast() else { return Entry(directory: Self.root, name: "") }
    var directory = Self.root
    for component in components {
      guard let next = current[directory]?[component], isDirectory(next) else { return nil }
      directory = next
    }
    return Entry(directory: directory, name: last)
  }

  func node(at entry: Entry) -> Int? {
    entry.name.isEmpty ? entry.directory : current[entry.directory]?[entry.name]
  }

  mutating func create(_ node: Int, at entry: Entry, directory: Bool) {
    if directory {
      current[node] = [:]
      durable[node] = [:]
    }
    apply(Change(node: node, from: nil, to: entry))
  }

  mutating func rename(_ node: Int, from: Entry, to: Entry) {
    if from != to { apply(Change(node: node, from: from, to: to)) }
  }

  mutating func remove(_ node: Int, at entry: Entry) { apply(Change(node: node, from: entry, to: nil)) }

  mutating func sync(_ directory: Int) {
    var rest: [Change] = []
    for change in unsynced {
      let touches = change.from?.directory == directory || change.to?.directory == directory
      guard touches else {
        rest.append(change)
        continue
      }
      Self.apply(change, to: &durable)
      // What happened to this node before is part of where it is now.
      rest.removeAll { $0.node == change.node }
    }
    unsynced = rest
    durable[directory] = current[directory]
  }

  /// The names with which the machine comes up again.
  func afterCrash(using generator: inout SeededGenerator, _ counts: inout FaultCounts) -> NameSpace {
    var names = durable
    // Journals keep changes in order up to some moment; other file systems promise no order.
    let until = generator.oneIn(2) ? generator.below(unsynced.count + 1) : nil
    let odds = 1 + generator.below(3)
    for (i, change) in unsynced.enumerated() {
      if until.map({ i < $0 }) ?? (generator.below(4) < odds) {
        Self.apply(change, to: &names)
        counts.keptNames += 1
      } else {
        counts.forgottenNames += 1
      }
    }
    var next = NameSpace()
    var open = [Self.root]
    next.current.removeAll()
    while let directory = open.popLast() {
      let entries = names[directory] ?? [:]
      next.current[directory] = entries
      open += entries.values.filter(isKnownDirectory)
    }
    next.durable = next.current
    return next
  }

  /// Every node that has a name now or may have one after a crash.
  var reachable: Set<Int> {
    var nodes: Set<Int> = [Self.root]
    for names in [current, durable] { for entries in names.values { nodes.formUnion(entries.values) } }
    nodes.formUnion(unsynced.map(\.node))
    return nodes
  }

  /// Every node that has a name now.
  var named: Set<Int> { Set(current.values.flatMap(\.values)) }

  // A removed directory stays known: its removal may be forgotten.
  private func isKnownDirectory(_ node: Int) -> Bool { durable[node] != nil }

  private mutating func apply(_ change: Change) {
    Self.apply(change, to: &current)
    if change.to == nil, current[change.node] != nil { current[change.node] = nil }
    unsynced.append(change)
  }

  private static func apply(_ change: Change, to names: inout [Int: [String: Int]]) {
    if let to = change.to {
      for (directory, entries) in names {
        for (name, node) in entries where node == change.node { names[directory]![name] = nil }
      }
      names[to.directory]?[to.name] = change.node
    } else if let from = change.from, names[from.directory]?[from.name] == change.node {
      names[from.directory]![from.name] = nil
    }
  }
}
