// Random changes to tables of every kind, merged and undone as the product does it and as a model does that holds all
// rows.

import Backup
import Base
import SQLite
import ShardStore
import Testing

@Suite struct MergeModelTests {
  private static let declared = [
    "r": "r (k, v)", "i": "i (k INTEGER PRIMARY KEY, v)", "t": "t (k TEXT PRIMARY KEY, v)",
    "n": "n (k COLLATE NOCASE PRIMARY KEY, v)", "w": "w (k PRIMARY KEY, v) WITHOUT ROWID",
    "d": "d (k TEXT COLLATE NOCASE, v, PRIMARY KEY (k DESC)) WITHOUT ROWID",
    "c": "c (k, v, l TEXT DEFAULT 'x', PRIMARY KEY (k, l COLLATE NOCASE))",
  ]
  private static let names = ["c", "d", "i", "n", "r", "t", "w"]
  private typealias State = [String: [String: [Value]]]

  /// By table, then by what tells a row apart; rows with a NULL in their key by their rowid.
  private static func state(_ connection: Connection) throws -> State {
    var found: State = [:]
    for name in names {
      var rows: [String: [Value]] = [:]
      let hasRowID = !"wd".contains(name)
      for row in try connection.query("SELECT \(hasRowID ? "rowid" : "0"), * FROM \(name)") {
        let isRow = "ri".contains(name) || (row[1].isNull && hasRowID)
        let key = "nd".contains(name) ? folded(row[1]) : row[1]
        rows[isRow ? "row \(row[0])" : "key \(numeric(key))"] = Array(row.dropFirst())
      }
      found[name] = rows
    }
    return found
  }

  private static func folded(_ value: Value) -> Value { value.text.map { .text(SQLText.folded($0)) } ?? value }

  /// 1 and 1.0 are one key.
  private static func numeric(_ value: Value) -> Value {
    if case .integer(let number) = value { return .real(Double(number)) }
    return value
  }

  private static func change(_ connection: Connection, count: Int, seed: UInt64, nulls: Bool) throws {
    var random = SeededGenerator(seed: seed)
    func value(_ range: UInt64, nulls: Bool = true) -> Value {
      let number = Int64(random.next() % range)
      switch random.next() % 7 {
      case 0: return nulls ? .null : .integer(number)
      case 1: return .integer(number)
      case 2: return .real(Double(number) / 2)
      case 3: return .blob([UInt8(truncatingIfNeeded: number), 0, 255])
      case 4: return .text("дзвінок \(number)")
      default: return .text(random.next() % 2 == 0 ? "key \(number)" : "KEY \(number)")
      }
    }
    for _ in 0..<count {
      let table = names[Int(random.next() % UInt64(names.count))]
      let key = table == "i" ? Value.integer(Int64(random.next() % 14)) : value(4, nulls: nulls)
      let new = table == "i" ? Value.integer(Int64(random.next() % 14)) : value(4, nulls: nulls)
      switch random.next() % 5 {
      case 0, 1: try? connection.execute("INSERT OR REPLACE INTO \(table) (k, v) VALUES (?, ?)", key, value(9))
      case 2: try? connection.execute("UPDATE \(table) SET v = ? WHERE k IS ?", value(9), key)
      case 3: try? connection.execute("UPDATE OR IGNORE \(table) SET k = ? WHERE k IS ?", new, key)
      default: try? connection.execute("DELETE FROM \(table) WHERE k IS ?", key)
      }
    }
  }

  private func world(_ seed: UInt64, nulls: Bool) async throws -> (MergeWorld, SnapshotID, old: State, live: State) {
    let world = try await MergeWorld()
    for name in Self.names { try await world.sql("CREATE TABLE \(Self.declared[name]!)") }
    try await change(world, seed * 7 + 1, 140, nulls)
    let (snapshot, old) = (try await world.snapshot(), try await state(world))
    try await change(world, seed * 7 + 2, Int(seed % 9) * 12, nulls)
    return (world, snapshot, old, try await state(world))
  }

  private func change(_ world: MergeWorld, _ seed: UInt64, _ count: Int, _ nulls: Bool) async throws {
    _ = try await world.store.engine.write(MergeWorld.account) {
      try Self.change($0, count: count, seed: seed, nulls: nulls)
    }
  }

  private func state(_ world: MergeWorld) async throws -> State {
    try await world.store.engine.read(MergeWorld.account) { try Self.state($0) }.value
  }

  private func request(_ world: MergeWorld, _ snapshot: SnapshotID, _ policy: MergePolicy) throws -> MergeRequest {
    try world.request(
      snapshot, "table:c", "table:d", "table:i", "table:n", "table:r", "table:t", "table:w", policy: policy)
  }

  /// Rows whose key is NULL move when somebody else has their rowid: they are told apart by what they hold.
  private static func comparable(_ state: State) -> [String: [String]] {
    state.mapValues { rows in
      rows.map { id, values in id.hasPrefix("row") && values[0].isNull ? "\(values)" : "\(id) \(values)" }.sorted()
    }
  }

  @Test("a merge with each policy is what a model makes of it, and undo gives back exactly", arguments: 0..<27)
  func merging(seed: UInt64) async throws {
    for nulls in [false, true] {
      let (world, snapshot, old, live) = try await world(seed, nulls: nulls)
      defer { world.close() }
      let before = try await world.content()
      let policy = MergePolicy.allCases[Int(seed % 3)]
      var (expected, inserted, changed, equal, conflicts) = (live, 0, 0, 0, 0)
      for name in Self.names {
        for (id, row) in old[name]! {
          let isNull = row[0].isNull && !"ri".contains(name)
          let now = live[name]![id]
          if let now, now == row {
            equal += 1
          } else if now != nil {
            conflicts += 1
            if policy == .take {
              changed += 1
              expected[name]![id] = row
            }
          } else {
            inserted += 1
            expected[name]![isNull ? "row \(id) again" : id] = row
          }
        }
      }
      if policy == .refuse, conflicts > 0 {
        let report = try await world.refused { try await world.run(request(world, snapshot, policy)) }
        #expect(report.conflictCount == Int64(conflicts) && report.conflicts.count == conflicts)
        #expect(report.conflicts.allSatisfy { !$0.differences.isEmpty && !$0.key.isEmpty })
        #expect(try await world.content() == before)
        continue
      }
      let report = try await world.run(request(world, snapshot, policy))
      #expect(report.inserted == Int64(inserted) && report.equal == Int64(equal))
      #expect(report.changed == Int64(changed))
      #expect(report.conflictCount == (policy == .take ? 0 : Int64(conflicts)))
      #expect(Self.comparable(try await state(world)) == Self.comparable(expected), "seed \(seed) \(policy)")
      let undone = try await world.undo(report)
      #expect(undone.removed == Int64(inserted) && undone.changed == Int64(changed) && undone.conflictCount == 0)
      #expect(try await world.content() == before, "seed \(seed)")
    }
  }

  @Test(
    "an undo after later writes takes back what is as the merge left it, and the rest by its policy", arguments: 0..<18)
  func later(seed: UInt64) async throws {
    let (world, snapshot, _, before) = try await world(seed + 100, nulls: false)
    defer { world.close() }
    let report = try await world.run(request(world, snapshot, .take))
    let merged = try await state(world)
    try await change(world, seed * 7 + 3, 30, false)
    let now = try await state(world)
    let content = try await world.content()
    let policy = MergePolicy.allCases[Int(seed % 3)]
    var (expected, conflicts) = (now, 0)
    for name in Self.names {
      for id in Set(before[name]!.keys).union(merged[name]!.keys) {
        let (was, became, current) = (before[name]![id], merged[name]![id], now[name]![id])
        guard was != became, current != was else { continue }
        if current == became {
          expected[name]![id] = was
        } else {
          conflicts += 1
          if policy == .take { expected[name]![id] = was }
        }
      }
    }
    if policy == .refuse, conflicts > 0 {
      let refused = try await world.refused { try await world.undo(report, policy) }
      #expect(refused.conflictCount == Int64(conflicts))
      #expect(try await world.content() == content)
      return
    }
    let undone = try await world.undo(report, policy)
    #expect(undone.conflictCount == (policy == .take ? 0 : Int64(conflicts)))
    #expect(try await state(world) == expected, "seed \(seed) \(policy)")
  }
}
