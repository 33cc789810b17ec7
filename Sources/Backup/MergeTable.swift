// One table in two states: the old one, whose rows are chosen, and the live one, which they come back to. Rows are
// matched as comparisons match them (`DiffTable.Key`): by rowid, or by the primary key under its collations; a key with a
// NULL is nobody else's, and then the rowid decides.
//
// Statements name every column: none of them has more than a table can have.

import Base
import SQLite

final class MergeTable {
  /// Where a row lies: the rowid, or nil and the key's values where there is none.
  struct Place: Equatable {
    var rowID: Int64?
    var key: RowImage
  }

  let then: DiffTable
  let now: DiffTable
  /// Columns that both have, as the live table calls them, in the order of the old one.
  let common: [String]
  /// Where the common columns lie in the live table's rows.
  private let liveIndexes: [Int]
  /// Where the key's columns lie among the common ones, and in the live table's rows.
  private let keyInCommon: [Int]
  let keyInLive: [Int]
  let key: [DiffTable.KeyColumn]
  let isClustered: Bool
  private let old: Connection
  let live: Connection
  private var statements: [String: Statement] = [:]
  private let oldFetch: Statement

  /// `.refused` when rows of the two cannot be told apart in the same way.
  init(_ then: DiffTable, in old: Connection, _ now: DiffTable, in live: Connection) throws {
    guard then.key == now.key, (then.rowID == nil) == (now.rowID == nil) else {
      throw RowSelection.refusal(
        "the table \(now.name) has another primary key now: restore the old one under another name and copy with SQL")
    }
    (self.then, self.now, self.old, self.live) = (then, now, old, live)
    (key, isClustered) = Self.key(of: now)
    guard isClustered || now.rowID != nil else {
      throw RowSelection.refusal("the columns of \(now.name) take all names of the rowid: its rows cannot be matched")
    }
    let places = Dictionary(now.columns.enumerated().map { (SQLText.folded($1), $0) }) { $1 }
    common = then.columns.compactMap { places[SQLText.folded($0)].map { now.columns[$0] } }
    let liveIndexes = common.compactMap { places[SQLText.folded($0)] }
    self.liveIndexes = liveIndexes
    let folded = common.map(SQLText.folded)
    keyInCommon = key.compactMap { column in folded.firstIndex(of: SQLText.folded(column.name)) }
    keyInLive = keyInCommon.map { liveIndexes[$0] }
    guard !common.isEmpty, keyInCommon.count == key.count else {
      throw RowSelection.refusal("the table \(now.name) has no column of then any more")
    }
    let columns = then.columns.filter { places[SQLText.folded($0)] != nil }
    oldFetch = try Self.statement(
      old, "SELECT \(Self.list(columns)) FROM main.\(SQLText.quoted(then.name)) WHERE \(Self.place(then))")
  }

  static func key(of table: DiffTable) -> ([DiffTable.KeyColumn], isClustered: Bool) {
    switch table.key {
    case .rowID, .alias: ([], false)
    case .unique(let key): (key, false)
    case .clustered(let key): (key, true)
    }
  }

  static func list(_ columns: [String]) -> String { columns.map(SQLText.quoted).joined(separator: ", ") }

  /// The WHERE that finds the row at a place, whose values are the parameters from `first` on.
  static func place(_ table: DiffTable, from first: Int = 1) -> String {
    guard case .clustered(let key) = table.key else { return "\(SQLText.quoted(table.rowID ?? "rowid")) = ?\(first)" }
    return terms(key, from: first)
  }

  static func terms(_ key: [DiffTable.KeyColumn], from first: Int) -> String {
    key.enumerated().map { i, column in
      "\(SQLText.quoted(column.name)) COLLATE \(SQLText.quoted(column.collation)) = ?\(first + i)"
    }.joined(separator: " AND ")
  }

  static func statement(_ connection: Connection, _ sql: String) throws -> Statement {
    guard let statement = try connection.prepare(sql).statement else {
      throw BackupError(.failed, "a table cannot be read")
    }
    return statement
  }

  // MARK: the old side

  /// The place of each old row that `selection` chooses.
  func forEachChosen(_ condition: (text: String, values: [Value]), _ body: (Place) throws -> Void) throws {
    let columns = isClustered ? Self.list(key.map(\.name)) : SQLText.quoted(then.rowID ?? "rowid")
    let scan = try Self.statement(
      old, "SELECT \(columns) FROM main.\(SQLText.quoted(then.name)) WHERE \(condition.text)")
    defer { scan.finalize() }
    for (i, value) in condition.values.enumerated() { try scan.bind(value, at: i + 1) }
    while try scan.step() {
      try body(
        isClustered
          ? Place(rowID: nil, key: scan.image(0..<key.count)) : Place(rowID: scan.columnInteger(0), key: RowImage([])))
    }
  }

  /// The common columns of the old row at `place`; valid until the next call.
  func oldRow(_ place: Place) throws -> Statement {
    try Self.bind(place, to: oldFetch, from: 1)
    guard try oldFetch.step() else { throw BackupError(.failed, "a row of the old state is not there any more") }
    return oldFetch
  }

  static func bind(_ place: Place, to statement: Statement, from first: Int) throws {
    statement.reset(clear: true)
    if let rowID = place.rowID { return try statement.bind(Value.integer(rowID), at: first) }
    for (i, field) in place.key.fields.enumerated() { try statement.bind(field, at: first + i) }
  }

  /// As people know the row.
  func shownKey(_ old: Statement, _ place: Place) -> [String] {
    guard !key.isEmpty else { return ["\(place.rowID ?? 0)"] }
    return keyInCommon.map { MergeReport.shown(old.field($0)) }
  }

  // MARK: the live side

  /// The live row that the old one at `place` is; nil when it is not there.
  func liveRow(_ old: Statement, _ place: Place) throws -> (row: Statement, place: Place)? {
    if isClustered || key.isEmpty {
      return try liveRow(at: place).map { ($0, place) }
    }
    guard keyInCommon.allSatisfy({ !old.columnIsNull($0) }) else {
      guard let row = try liveRow(at: place),
        zip(keyInCommon, keyInLive).allSatisfy({ old.column($0, equals: row, $1) })
      else { return nil }
      return (row, place)
    }
    let find = try named(
      "find",
      "SELECT \(SQLText.quoted(now.rowID ?? "")) FROM main.\(SQLText.quoted(now.name)) WHERE \(Self.terms(key, from: 1))"
    )
    for (i, column) in keyInCommon.enumerated() { try find.bind(columnOf: old, column, at: i + 1) }
    guard try find.step() else { return nil }
    let found = Place(rowID: find.columnInteger(0), key: RowImage([]))
    find.reset(clear: true)
    return try liveRow(at: found).map { ($0, found) }
  }

  /// All stored columns of the live row at `place`; valid until the next call.
  func liveRow(at place: Place) throws -> Statement? {
    let fetch = try named(
      "fetch",
      "SELECT \(Self.list(now.columns)) FROM main.\(SQLText.quoted(now.name)) WHERE \(Self.place(now))")
    try Self.bind(place, to: fetch, from: 1)
    return try fetch.step() ? fetch : nil
  }

  /// The common columns in which the two rows differ.
  func differing(_ old: Statement, _ row: Statement) -> [Int] {
    common.indices.filter { !old.column($0, equals: row, liveIndexes[$0]) }
  }

  func difference(_ i: Int, _ old: Statement, _ row: Statement) -> MergeReport.Difference {
    MergeReport.Difference(
      column: common[i], then: MergeReport.shown(old.field(i)), now: MergeReport.shown(row.field(liveIndexes[i])))
  }

  /// Puts the old row into the live table; gives its place there.
  func insert(_ old: Statement, _ place: Place) throws -> Place {
    var names = common
    var keepsRowID = false
    if case .alias = now.key {
      keepsRowID = true
    } else if let rowID = now.rowID, let wanted = place.rowID {
      // Where the key is another one, the rowid is only a habit of the row: whoever has it now may keep it.
      let isFree = try key.isEmpty || liveRow(at: Place(rowID: wanted, key: RowImage([]))) == nil
      if isFree {
        names.append(rowID)
        keepsRowID = true
      }
    }
    let marks = (1...names.count).map { "?\($0)" }.joined(separator: ", ")
    let insert = try named(
      "insert\(names.count)",
      "INSERT OR ABORT INTO main.\(SQLText.quoted(now.name)) (\(Self.list(names))) VALUES (\(marks))")
    for i in common.indices { try insert.bind(columnOf: old, i, at: i + 1) }
    if names.count > common.count { try insert.bind(Value.integer(place.rowID ?? 0), at: names.count) }
    defer { insert.reset(clear: true) }
    try insert.stepOnce()
    if isClustered { return place }
    return Place(rowID: keepsRowID ? place.rowID : live.lastInsertRowID, key: RowImage([]))
  }

  /// Gives the live row at `found` the old row's values.
  func update(_ old: Statement, _ found: Place) throws {
    let sets = common.enumerated().map { "\(SQLText.quoted($1)) = ?\($0 + 1)" }.joined(separator: ", ")
    let update = try named(
      "update",
      "UPDATE OR ABORT main.\(SQLText.quoted(now.name)) SET \(sets) WHERE \(Self.place(now, from: common.count + 1))")
    try Self.bind(found, to: update, from: common.count + 1)
    for i in common.indices { try update.bind(columnOf: old, i, at: i + 1) }
    defer { update.reset(clear: true) }
    try update.stepOnce()
  }

  /// What names the live row later: its key, and its rowid where it has one.
  func remembered(_ row: Statement, _ place: Place) -> RowImage {
    RowImage(keyInLive.map { row.field($0) } + (place.rowID.map { [.integer($0)] } ?? []))
  }

  private func named(_ name: String, _ sql: String) throws -> Statement {
    if let statement = statements[name] {
      statement.reset(clear: true)
      return statement
    }
    let statement = try Self.statement(live, sql)
    statements[name] = statement
    return statement
  }

  /// Ends what would keep the tables in use.
  func close() {
    for statement in statements.values { statement.finalize() }
    statements = [:]
    oldFetch.finalize()
  }
}

extension Statement {
  func stepOnce() throws { while try step() {} }
}
