// What undoes a merge, in the account's own database and so in the transaction of the merge itself: for each row that it
// changed where it lies, what it was before, and a hash of what it is since. Tenants see none of it.
//
// Rows of kind `made` stand for a table that was made again; they come before the table's rows and are undone after them.

import Base
import OpenSSL
import SQLite

struct MergeJournal {
  enum Kind: Int64 { case row = 0, recording, made, columns }

  struct Entry {
    var kind: Kind
    var table: String
    var key: RowImage
    /// Nil when there was no row.
    var before: RowImage?
    var after: [UInt8]
  }

  struct Record {
    var at: UnixMicroseconds
    var rows: Int64
    var undoneAt: UnixMicroseconds?
    /// Counts as they were told, in the order of `MergeJournal.counts`.
    var counts: [Int64]
  }

  private static let schema = """
    CREATE TABLE IF NOT EXISTS main.komora_merges (
      id BLOB PRIMARY KEY, at_us INTEGER NOT NULL, source TEXT NOT NULL, changes INTEGER NOT NULL, undone_us INTEGER,
      counts BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS main.komora_merge_rows (
      merge BLOB NOT NULL, number INTEGER NOT NULL, kind INTEGER NOT NULL, name TEXT NOT NULL, key BLOB NOT NULL,
      before BLOB, after BLOB NOT NULL, PRIMARY KEY (merge, number)) WITHOUT ROWID;
    """

  let connection: Connection
  let merge: [UInt8]
  private(set) var count: Int64 = 0

  /// Begins to write for `merge`; makes the tables in an account's first merge.
  init(_ connection: Connection, _ merge: MergeID) throws {
    if try !Self.isThere(connection) { try connection.executeScript(Self.schema) }
    self.init(reading: connection, merge)
  }

  init(reading connection: Connection, _ merge: MergeID) {
    self.connection = connection
    self.merge = Self.bytes(merge)
  }

  static func bytes(_ merge: MergeID) -> [UInt8] {
    (0..<16).map { UInt8(truncatingIfNeeded: merge >> UInt128(120 - 8 * $0)) }
  }

  static func isThere(_ connection: Connection) throws -> Bool {
    try !connection.query("SELECT 1 FROM main.sqlite_master WHERE name = 'komora_merge_rows'").isEmpty
  }

  static func hash(_ row: RowImage) -> [UInt8] { SHA256.hash(row.bytes) }

  mutating func add(_ kind: Kind, _ table: String, key: RowImage, before: RowImage?, after: [UInt8]) throws {
    guard count < MergeLimits.changedMax else {
      throw RowSelection.refusal(
        "the merge would change more than \(MergeLimits.changedMax) rows and recordings: choose fewer, in several merges"
      )
    }
    count += 1
    try connection.execute(
      "INSERT INTO main.komora_merge_rows VALUES (?,?,?,?,?,?,?)", .blob(merge), .integer(count),
      .integer(kind.rawValue),
      .text(table), .blob(key.bytes), before.map { .blob($0.bytes) } ?? .null, .blob(after))
  }

  func finish(_ report: MergeReport, at time: UnixMicroseconds) throws {
    try connection.execute(
      "INSERT INTO main.komora_merges VALUES (?,?,?,?,NULL,?)", .blob(merge), .integer(time), .text(report.source.name),
      .integer(count), .blob(RowImage(report.counted.map { .integer($0) }).bytes))
  }

  /// The merge, if what undoes it is still known.
  func record() throws -> Record? {
    guard try Self.isThere(connection) else { return nil }
    let rows = try connection.query(
      "SELECT at_us, changes, undone_us, counts FROM main.komora_merges WHERE id = ?", .blob(merge))
    guard let row = rows.first, let at = row[0].integer, let changes = row[1].integer else { return nil }
    let counts = RowImage(row[3].blob ?? [])?.fields.compactMap { if case .integer(let n) = $0 { n } else { nil } }
    return Record(at: at, rows: changes, undoneAt: row[2].integer, counts: counts ?? [])
  }

  func markUndone(at time: UnixMicroseconds) throws {
    try connection.execute("UPDATE main.komora_merges SET undone_us = ? WHERE id = ?", .integer(time), .blob(merge))
    // It can be undone once: what that took is not needed again.
    try connection.execute("DELETE FROM main.komora_merge_rows WHERE merge = ?", .blob(merge))
  }

  /// The last change first. Row by row: a statement that stays open would keep tables from being dropped.
  func forEachBackwards(_ body: (Entry) throws -> Void) throws {
    let last = try connection.query("SELECT max(number) FROM main.komora_merge_rows WHERE merge = ?", .blob(merge))
    var number = last.first?[0].integer ?? 0
    while number > 0 {
      let rows = try connection.query(
        "SELECT kind, name, key, before, after FROM main.komora_merge_rows WHERE merge = ? AND number = ?",
        .blob(merge),
        .integer(number))
      guard let row = rows.first, let kind = Kind(rawValue: row[0].integer ?? -1), let name = row[1].text,
        let key = RowImage(row[2].blob ?? []), let after = row[4].blob
      else { throw Self.damage }
      var before: RowImage?
      if let bytes = row[3].blob {
        guard let image = RowImage(bytes) else { throw Self.damage }
        before = image
      }
      try body(Entry(kind: kind, table: name, key: key, before: before, after: after))
      number -= 1
    }
  }

  private static let damage = BackupError(
    .damaged, "what undoes the merge cannot be read: it is not what the system writes")

  /// One merge that began before `time`, with what undoes it; false when there is none. One at a time, so that each fits
  /// into a transaction as it did when it was made.
  static func expireOne(_ connection: Connection, before time: UnixMicroseconds) throws -> Bool {
    guard try isThere(connection) else { return false }
    let found = try connection.query("SELECT id FROM main.komora_merges WHERE at_us < ? LIMIT 1", .integer(time))
    guard let id = found.first?[0] else { return false }
    try connection.execute("DELETE FROM main.komora_merge_rows WHERE merge = ?", id)
    try connection.execute("DELETE FROM main.komora_merges WHERE id = ?", id)
    return true
  }
}

extension MergeReport {
  /// Kept with the merge, so that a repetition of the request hears them.
  var counted: [Int64] {
    [
      inserted, changed, equal, conflictCount, recordings.inserted, recordings.changed, recordings.equal,
      recordings.erased, recordings.bytes,
    ]
  }
}
