// Two databases compared: what they declare, the rows of their tables, the recordings that they name.

import Base
package import SQLite

package struct DiffTables {
  private let old: Connection
  private let new: Connection
  private let cancellation: CancelFlag
  private var listing: DiffListing

  package init(old: Connection, new: Connection, listed: Int, cancellation: CancelFlag) {
    self.old = old
    self.new = new
    self.cancellation = cancellation
    listing = DiffListing(listed)
  }

  package mutating func fill(_ report: inout DiffReport) throws {
    report.schema = try declarations()
    report.recordings = try recordings()
    report.tables = try tables()
    report.listedRows = listing.rows
    report.listedRecordings = listing.recordings
    report.isCut = listing.isCut
  }

  // MARK: declarations

  private func declarations() throws -> [DiffReport.SchemaChange] {
    struct Name: Hashable, Comparable {
      var kind: String
      var name: String
      static func < (a: Name, b: Name) -> Bool { (a.kind, a.name) < (b.kind, b.name) }
    }
    func declared(_ connection: Connection) throws -> [Name: Value] {
      let rows = try connection.query(
        """
        SELECT type, name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL
        AND name NOT LIKE 'sqlite~_%' ESCAPE '~' AND name NOT LIKE 'komora~_%' ESCAPE '~'
        """)
      return Dictionary(rows.map { (Name(kind: $0[0].text ?? "", name: $0[1].text ?? ""), $0[2]) }) { $1 }
    }
    let (before, after) = (try declared(old), try declared(new))
    return Set(before.keys).union(after.keys).sorted().compactMap { name in
      guard before[name] != after[name] else { return nil }
      let change: DiffReport.Change =
        before[name] == nil ? .added : after[name] == nil ? .removed : .changed
      return DiffReport.SchemaChange(kind: name.kind, name: name.name, change: change)
    }
  }

  // MARK: rows

  private mutating func tables() throws -> [DiffReport.Table] {
    func byName(_ tables: [DiffTable]) -> [String: DiffTable] {
      Dictionary(tables.map { (SQLText.folded($0.name), $0) }) { $1 }
    }
    let (before, after) = (byName(try DiffTable.all(in: old)), byName(try DiffTable.all(in: new)))
    var found: [DiffReport.Table] = []
    for name in Set(before.keys).union(after.keys).sorted() {
      let table = try compare(before[name], after[name])
      if !table.isEmpty { found.append(table) }
    }
    return found
  }

  private mutating func compare(_ before: DiffTable?, _ after: DiffTable?) throws -> DiffReport.Table {
    guard let before else { return try single(after, in: new, .added) }
    guard let after else { return try single(before, in: old, .removed) }
    var table = DiffReport.Table(name: after.name)
    let (oldNames, newNames) = (Set(before.columns.map(SQLText.folded)), Set(after.columns.map(SQLText.folded)))
    table.columnsAdded = after.columns.filter { !oldNames.contains(SQLText.folded($0)) }
    table.columnsRemoved = before.columns.filter { !newNames.contains(SQLText.folded($0)) }
    let hasRowIDs = before.rowID != nil && after.rowID != nil
    switch before.key {
    case .clustered where before.key == after.key: break
    case _ where before.key == after.key && hasRowIDs: break
    default:
      table.note = hasRowIDs || before.key != after.key ? "has another key" : "its rowid has no name"
      table.rows.removed = try count(before, in: old)
      table.rows.added = try count(after, in: new)
      return table
    }
    var (rows, listing) = (DiffReport.Counts(), listing)
    try DiffRows(before, in: old, after, in: new, cancellation: cancellation) { change, key, columns in
      rows.count(change)
      listing.add(after.name, change, key, columns)
    }.compare()
    (table.rows, self.listing) = (rows, listing)
    return table
  }

  private mutating func single(_ table: DiffTable?, in connection: Connection, _ change: DiffReport.Change) throws
    -> DiffReport.Table
  {
    guard let table else { return DiffReport.Table(name: "") }
    var found = DiffReport.Table(name: table.name, change: change)
    let count = try count(table, in: connection)
    if change == .added { found.rows.added = count } else { found.rows.removed = count }
    return found
  }

  private func count(_ table: DiffTable, in connection: Connection) throws -> Int64 {
    try cancellation.check()
    return try connection.query("SELECT count(*) FROM main.\(SQLText.quoted(table.name))").first?[0].integer ?? 0
  }

  // MARK: recordings

  private static let catalog = "komora_recordings"
  private static let content = Set(["bytes", "md5"])
  /// What a person would call another description. Ids and keyed hashes differ wherever bytes were uploaded again.
  private static let description = Set(["content_type", "metadata", "created_us"])

  private mutating func recordings() throws -> DiffReport.Recordings {
    let before = try DiffTable.named(Self.catalog, in: old)
    let after = try DiffTable.named(Self.catalog, in: new)
    var (counts, listing) = (DiffReport.Recordings(), listing)
    guard let before, let after else {
      // An account in which nothing was written has no tables at all.
      if let before { counts.removed = try count(before, in: old) }
      if let after { counts.added = try count(after, in: new) }
      return counts
    }
    func add(_ change: DiffReport.Recording.Change, _ key: String) {
      switch change {
      case .added: counts.added += 1
      case .removed: counts.removed += 1
      case .replaced: counts.replaced += 1
      case .described: counts.described += 1
      }
      listing.add(key, change)
    }
    try DiffRows(before, in: old, after, in: new, cancellation: cancellation, plainKeys: true) { change, key, columns in
      let kind: DiffReport.Recording.Change? =
        switch change {
        case .added: .added
        case .removed: .removed
        case .changed where columns.contains(where: Self.content.contains): .replaced
        case .changed: columns.contains(where: Self.description.contains) ? .described : nil
        }
      if let kind { add(kind, key()[0]) }
    }.compare()
    self.listing = listing
    return counts
  }
}
