// What an account's database holds, as a value: once read from the engine, once replayed by the model.

import SQLite
import ShardStore

struct AccountState: Equatable, Sendable {
  struct Row: Equatable, Sendable {
    var n: Int
    var length: Int
    var number: Int
  }

  var rows: [Int: Row] = [:]
  /// Number of each extra table, and the serial that made it.
  var tables: [Int: Int] = [:]
  var recordings: [String: SimulatedRecording] = [:]

  mutating func apply(_ change: Change, serial: Int) {
    switch change {
    case .put(let keys, let length):
      for key in keys {
        let number = serial + key
        rows[key] = Row(n: serial, length: max(length, String(number).count), number: number)
      }
    case .increment(let keys): for key in keys where rows[key] != nil { rows[key]!.n += 1 }
    case .remove(let keys): for key in keys { rows[key] = nil }
    case .large(let count):
      for i in 0..<count { rows[1000 + i] = Row(n: serial, length: 900, number: serial + 1000 + i) }
    case .table(let number): tables[number] = tables[number] == nil ? serial : nil
    case .recording(let key, _, let recording): recordings[key] = recording
    case .removeRecording(let key): recordings[key] = nil
    case .failing: break
    }
  }

  /// The first difference, in words.
  func difference(from other: AccountState) -> String? {
    if self == other { return nil }
    for key in Set(rows.keys).union(other.rows.keys).sorted() where rows[key] != other.rows[key] {
      return "row \(key) is \(Self.text(rows[key])), not \(Self.text(other.rows[key]))"
    }
    if tables != other.tables { return "the extra tables are \(tables), not \(other.tables)" }
    let keys = Set(recordings.keys).union(other.recordings.keys)
    for key in keys.sorted() where recordings[key] != other.recordings[key] {
      return "recording \(key) is \(recordings[key].map { "\($0.id)" } ?? "missing")"
    }
    return "the states differ"
  }

  private static func text(_ row: Row?) -> String { row.map { "(\($0.n), \($0.length), \($0.number))" } ?? "missing" }
}

/// One read of an account: its journal and its state, as one transaction saw them.
struct Observation: Equatable, Sendable {
  var journal: [Int] = []
  var state = AccountState()

  init(_ connection: Connection) throws {
    let names = try connection.query("SELECT name FROM sqlite_master WHERE type = 'table'").compactMap { $0[0].text }
    if names.contains("komora_recordings") {
      for row in try RecordingCatalog.list(connection, limit: 1_000) {
        state.recordings[row.key] = SimulatedRecording(id: row.id, seed: 0, count: row.bytes)
      }
    }
    guard names.contains("journal") else { return }
    journal = try connection.query("SELECT serial FROM journal ORDER BY seq").map { Int($0[0].integer ?? -1) }
    for row in try connection.query("SELECT k, n, length(v), CAST(v AS INTEGER) FROM kv") {
      state.rows[Int(row[0].integer ?? -1)] = AccountState.Row(
        n: Int(row[1].integer ?? -1), length: Int(row[2].integer ?? -1), number: Int(row[3].integer ?? -1))
    }
    for name in names where name.hasPrefix("extra") {
      let made = try connection.query("SELECT a FROM \(name)").first?[0].integer
      state.tables[Int(name.dropFirst(5)) ?? -1] = Int(made ?? -1)
    }
  }
}
