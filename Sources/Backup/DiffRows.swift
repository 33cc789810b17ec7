// The rows of one table on two connections, in one pass and with one row of each in memory.
//
// Tables with rowids are walked in the order of rowids, side by side; a row that finds its like there costs no search.
// Where a primary key tells rows apart, one that does not is looked up by its key on the other side: it may only have
// moved. Tables without rowids are walked on each side and looked up on the other. So nothing has to be sorted, and
// SQLite's own rules (collations, affinities) decide which keys are equal.

import SQLite

final class DiffRows {
  private let old: Side
  private let new: Side
  private let key: DiffTable.Key
  private let common: [String]
  private let cancellation: CancelFlag
  private var steps = 0
  private let plainKeys: Bool
  private let found: Found

  /// A difference, the row's key as SQL writes it, and of a changed row the columns that differ.
  typealias Found = (DiffReport.Change, _ key: () -> [String], [String]) throws -> Void

  /// One side's statements. Column 0 is the rowid, or 0 where there is none; the common columns follow.
  private struct Side {
    var scan: Statement
    var seek: Statement?
  }

  /// Both tables have the same key. With `plainKeys` keys that are texts are given as they are, not as SQL. `found` hears each difference; the key is the new one where there are two.
  init(
    _ table: DiffTable, in old: Connection, _ other: DiffTable, in new: Connection, cancellation: CancelFlag,
    plainKeys: Bool = false, found: @escaping Found
  ) throws {
    let names = Set(other.columns.map(SQLText.folded))
    common = table.columns.filter { names.contains(SQLText.folded($0)) }
    key = table.key
    self.cancellation = cancellation
    self.plainKeys = plainKeys
    self.found = found
    self.old = try Self.open(table, common, old)
    self.new = try Self.open(other, common, new)
  }

  private static func open(_ table: DiffTable, _ common: [String], _ connection: Connection) throws -> Side {
    let rowID = table.rowID.map(SQLText.quoted) ?? "0"
    let columns = ([rowID] + common.map(SQLText.quoted)).joined(separator: ", ")
    let from = "SELECT \(columns) FROM main.\(SQLText.quoted(table.name))"
    func statement(_ sql: String) throws -> Statement {
      guard let statement = try connection.prepare(sql).statement else {
        throw BackupError(.failed, "a table cannot be read")
      }
      return statement
    }
    func seek(_ key: [DiffTable.KeyColumn]) throws -> Statement {
      let terms = key.enumerated().map { i, column in
        "\(SQLText.quoted(column.name)) COLLATE \(SQLText.quoted(column.collation)) = ?\(i + 1)"
      }
      return try statement("\(from) WHERE \(terms.joined(separator: " AND "))")
    }
    switch table.key {
    case .rowID, .alias: return Side(scan: try statement("\(from) NOT INDEXED ORDER BY \(rowID)"), seek: nil)
    case .unique(let key):
      return Side(scan: try statement("\(from) NOT INDEXED ORDER BY \(rowID)"), seek: try seek(key))
    case .clustered(let key): return Side(scan: try statement(from), seek: try seek(key))
    }
  }

  func compare() throws {
    switch key {
    case .rowID, .alias: try walk(keyed: [])
    case .unique(let columns): try walk(keyed: indexes(columns))
    case .clustered(let columns): try lookUpAll(indexes(columns))
    }
  }

  private func keyText(_ statement: Statement) -> [String] {
    let columns: [Int] =
      switch key {
      case .rowID, .alias: [0]
      case .unique(let columns), .clustered(let columns): indexes(columns)
      }
    return columns.map { column in
      let value = statement.column(column)
      if plainKeys, case .text(let text) = value { return text }
      return SQLText.literal(value)
    }
  }

  private func indexes(_ columns: [DiffTable.KeyColumn]) -> [Int] {
    columns.map { key in
      1 + (common.firstIndex { SQLText.folded($0) == SQLText.folded(key.name) } ?? 0)
    }
  }

  private func step(_ statement: Statement) throws -> Bool {
    steps += 1
    if steps % 1024 == 0 { try cancellation.check() }
    return try statement.step()
  }

  private func differing(_ a: Statement, _ b: Statement) -> [String] {
    common.indices.filter { !a.column($0 + 1, equals: b, $0 + 1) }.map { common[$0] }
  }

  // MARK: tables with rowids

  private func walk(keyed: [Int]) throws {
    var (hasOld, hasNew) = (try step(old.scan), try step(new.scan))
    while hasOld || hasNew {
      let isOld = hasOld && (!hasNew || old.scan.columnInteger(0) <= new.scan.columnInteger(0))
      let isNew = hasNew && (!hasOld || new.scan.columnInteger(0) <= old.scan.columnInteger(0))
      if isOld, isNew {
        try meet(keyed)
      } else if isOld {
        try lose(keyed)
      } else {
        try gain(keyed)
      }
      if isOld { hasOld = try step(old.scan) }
      if isNew { hasNew = try step(new.scan) }
    }
  }

  /// Both scans are at the same rowid.
  private func meet(_ keyed: [Int]) throws {
    let columns = differing(old.scan, new.scan)
    if columns.isEmpty { return }
    let (a, b) = (old.scan, new.scan)
    if keyed.allSatisfy({ a.column($0, equals: b, $0) }) { return try found(.changed, { keyText(b) }, columns) }
    try lose(keyed)
    try gain(keyed)
  }

  /// The old row has no like at its rowid.
  private func lose(_ keyed: [Int]) throws {
    if let seek = new.seek, try look(seek, keyed, of: old.scan) {
      seek.reset(clear: true)  // It moved; the other side tells what else it did.
    } else {
      try found(.removed, { keyText(old.scan) }, [])
    }
  }

  private func gain(_ keyed: [Int]) throws {
    guard let seek = old.seek, try look(seek, keyed, of: new.scan) else {
      return try found(.added, { keyText(new.scan) }, [])
    }
    defer { seek.reset(clear: true) }
    let columns = differing(seek, new.scan)
    if !columns.isEmpty { try found(.changed, { keyText(new.scan) }, columns) }
  }

  /// Whether the side of `seek` has a row with the key of `row`; then it is at it. A key with a NULL is nobody else's.
  private func look(_ seek: Statement, _ keyed: [Int], of row: Statement) throws -> Bool {
    seek.reset(clear: true)
    for (i, column) in keyed.enumerated() { try seek.bind(columnOf: row, column, at: i + 1) }
    if try seek.step() { return true }
    seek.reset(clear: true)
    return false
  }

  // MARK: tables without

  private func lookUpAll(_ keyed: [Int]) throws {
    guard let inOld = old.seek, let inNew = new.seek else { return }
    while try step(old.scan) {
      guard try look(inNew, keyed, of: old.scan) else {
        try found(.removed, { keyText(old.scan) }, [])
        continue
      }
      let columns = differing(old.scan, inNew)
      if !columns.isEmpty { try found(.changed, { keyText(inNew) }, columns) }
    }
    while try step(new.scan) {
      if try !look(inOld, keyed, of: new.scan) { try found(.added, { keyText(new.scan) }, []) }
    }
  }
}
