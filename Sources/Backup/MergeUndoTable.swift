// A live table whose rows a merge changed, for taking them back: rows are found by what the journal remembers of them and
// read and written whole, every stored column.

import Base
import SQLite

final class MergeUndoTable {
  private let table: DiffTable
  private let key: [DiffTable.KeyColumn]
  private let isClustered: Bool
  private let keyPlaces: [Int]
  private let live: Connection
  private var statements: [String: Statement] = [:]

  /// Nil when the table is gone or has other columns than when it was merged into.
  init?(_ entry: MergeJournal.Entry, in live: Connection) throws {
    let names = entry.key.fields.map { field in
      if case .text(let bytes) = field { String(decoding: bytes, as: UTF8.self) } else { "" }
    }
    guard let table = try DiffTable.named(entry.table, in: live), table.columns == names else { return nil }
    (key, isClustered) = MergeTable.key(of: table)
    guard isClustered || table.rowID != nil else { return nil }
    let folded = table.columns.map(SQLText.folded)
    keyPlaces = key.compactMap { column in folded.firstIndex(of: SQLText.folded(column.name)) }
    guard keyPlaces.count == key.count else { return nil }
    (self.table, self.live) = (table, live)
  }

  func shown(_ remembered: RowImage) -> [String] {
    remembered.fields.prefix(key.isEmpty ? 1 : key.count).map(MergeReport.shown)
  }

  private func statement(_ name: String, _ sql: @autoclosure () -> String) throws -> Statement {
    if let statement = statements[name] {
      statement.reset(clear: true)
      return statement
    }
    let statement = try MergeTable.statement(live, sql())
    statements[name] = statement
    return statement
  }

  private var name: String { "main.\(SQLText.quoted(table.name))" }

  /// The row that is remembered, as it is now; nil when it is not there.
  func find(_ remembered: RowImage) throws -> (image: RowImage, place: MergeTable.Place)? {
    let values = Array(remembered.fields.prefix(key.count))
    if isClustered { return try fetch(MergeTable.Place(rowID: nil, key: RowImage(values))) }
    guard case .integer(let rowID)? = remembered.fields.last else {
      throw BackupError(.damaged, "what undoes the merge of a row cannot be read")
    }
    guard !key.isEmpty, !values.contains(.null) else {
      guard let found = try fetch(MergeTable.Place(rowID: rowID, key: RowImage([]))) else { return nil }
      let isSame = zip(keyPlaces, values).allSatisfy { found.image.fields[$0] == $1 }
      return isSame ? found : nil
    }
    // Rowids of such tables may move; the key does not.
    let find = try statement(
      "find", "SELECT \(SQLText.quoted(table.rowID ?? "")) FROM \(name) WHERE \(MergeTable.terms(key, from: 1))")
    for (i, value) in values.enumerated() { try find.bind(value, at: i + 1) }
    defer { find.reset(clear: true) }
    guard try find.step() else { return nil }
    return try fetch(MergeTable.Place(rowID: find.columnInteger(0), key: RowImage([])))
  }

  private func fetch(_ place: MergeTable.Place) throws -> (image: RowImage, place: MergeTable.Place)? {
    let fetch = try statement(
      "fetch", "SELECT \(MergeTable.list(table.columns)) FROM \(name) WHERE \(MergeTable.place(table))")
    try MergeTable.bind(place, to: fetch, from: 1)
    defer { fetch.reset(clear: true) }
    return try fetch.step() ? (fetch.image(0..<table.columns.count), place) : nil
  }

  func differences(_ before: RowImage?, _ now: RowImage?) -> [MergeReport.Difference] {
    table.columns.enumerated().compactMap { i, column in
      let (then, now) = (before?.fields[i], now?.fields[i])
      guard then != now else { return nil }
      return MergeReport.Difference(
        column: column, then: then.map(MergeReport.shown) ?? "-", now: now.map(MergeReport.shown) ?? "-")
    }
  }

  /// Makes the row at `place`, or a row that is not there, what it was before: nil for nothing.
  func put(_ before: RowImage?, _ remembered: RowImage, at place: MergeTable.Place?) throws {
    guard let before else {
      guard let place else { return }
      let delete = try statement("delete", "DELETE FROM \(name) WHERE \(MergeTable.place(table))")
      try MergeTable.bind(place, to: delete, from: 1)
      defer { delete.reset(clear: true) }
      return try delete.stepOnce()
    }
    guard before.fields.count == table.columns.count else {
      throw BackupError(.damaged, "what undoes the merge of a row cannot be read")
    }
    let count = table.columns.count
    let put: Statement
    if let place {
      let sets = table.columns.enumerated().map { "\(SQLText.quoted($1)) = ?\($0 + 1)" }.joined(separator: ", ")
      put = try statement(
        "update", "UPDATE OR ABORT \(name) SET \(sets) WHERE \(MergeTable.place(table, from: count + 1))")
      try MergeTable.bind(place, to: put, from: count + 1)
    } else {
      // A row that is known by its rowid alone has it again.
      let names = table.key == .rowID ? table.columns + [table.rowID ?? "rowid"] : table.columns
      let marks = (1...names.count).map { "?\($0)" }.joined(separator: ", ")
      put = try statement("insert", "INSERT OR ABORT INTO \(name) (\(MergeTable.list(names))) VALUES (\(marks))")
      if names.count > count, let rowID = remembered.fields.last { try put.bind(rowID, at: names.count) }
    }
    for (i, field) in before.fields.enumerated() { try put.bind(field, at: i + 1) }
    defer { put.reset(clear: true) }
    try put.stepOnce()
  }

  func close() {
    for statement in statements.values { statement.finalize() }
    statements = [:]
  }
}
