// What of the system's own rows goes with a restored state, and what stays as it is now.
//
// | table | after the restore |
// | --- | --- |
// | komora_recordings | the restored state's, but for recordings whose keys were destroyed meanwhile |
// | komora_deleted | now's, and what vanishes with the restore: their bytes stay for as long as those of deleted ones |
// | komora_uploads, komora_upload_parts | now's: who is in the middle of an upload goes on with it |
// | komora_requests | the restored state's: a reply belongs to its effect, and goes and comes with it |
// | komora_restores | now's, and this one: a restore never forgets how to undo another |
// | komora_merges, komora_merge_rows | the restored state's: what undoes a merge goes and comes with what it did |

import Base
import SQLite

struct ReplaceRows {
  /// The state now, and the one that is being restored, which is written to.
  let live: Connection
  let wanted: Connection
  /// Of the rows of the restored state.
  let recordings: Set<RecordingID>
  let now: UnixMicroseconds

  /// Gives the recordings that its rows name and no live row does.
  func carry(
    without erased: [RecordingID], keeping requests: Int64, _ entry: ReplacementEntry, _ request: Idempotency?
  ) throws -> [RecordingID] {
    try wanted.execute("BEGIN IMMEDIATE")
    try checkSchema()
    for id in erased { try wanted.execute("DELETE FROM main.komora_recordings WHERE id = ?", .blob(id.bytes)) }
    try carryDeleted()
    let known = try vanish()
    if try MultipartCatalog.isThere(live), try !MultipartCatalog.isThere(wanted) { try MultipartCatalog.make(wanted) }
    for table in ["komora_uploads", "komora_upload_parts"] { try copy(table) }
    if let newest = try live.query("SELECT max(at_us) FROM main.komora_requests").first?.first?.integer {
      try wanted.execute("DELETE FROM main.komora_requests WHERE at_us < ?", .integer(newest - requests))
    }
    if try ReplaceCatalog.isThere(live), try !ReplaceCatalog.isThere(wanted) {
      try wanted.executeScript(ReplaceCatalog.schema)
    }
    try copy(ReplaceCatalog.table)
    try ReplaceCatalog.put(wanted, entry, request)
    try wanted.execute("COMMIT")
    let gone = Set(erased)
    return recordings.filter { !known.contains($0) && !gone.contains($0) }.sorted { $0.bits < $1.bits }
  }

  private func checkSchema() throws {
    if try wanted.query("SELECT 1 FROM main.sqlite_master WHERE name = 'komora_meta'").isEmpty {
      try wanted.executeScript(RecordingCatalog.schema)
    }
    let version = "SELECT value FROM main.komora_meta WHERE name = 'schema'"
    guard try wanted.query(version) == live.query(version) else {
      throw StoreError(
        .refused, "that state has the system's tables of another release: restore it beside, with --as NAME")
    }
  }

  /// Remembers the recordings that only live rows name as deleted; gives all that live rows name.
  private func vanish() throws -> Set<RecordingID> {
    var known: Set<RecordingID> = []
    try RecordingCatalog.forEachID(live) { id in
      known.insert(id)
      guard !recordings.contains(id) else { return }
      try wanted.execute(
        "INSERT OR REPLACE INTO main.komora_deleted VALUES (?, ?)", .blob(id.bytes), .integer(now))
    }
    return known
  }

  private func carryDeleted() throws {
    var stale: [Value] = []
    let same = "SELECT 1 FROM main.komora_deleted WHERE id = ? AND deleted_us = ?"
    try Self.forEach(wanted, "SELECT id, deleted_us FROM main.komora_deleted WHERE id > ?1 ORDER BY id") { row in
      let isBack = Self.recording(row[0]).map { recordings.contains($0) } ?? true
      if try isBack || live.query(same, row[0], row[1]).isEmpty { stale.append(row[0]) }
    }
    for id in stale { try wanted.execute("DELETE FROM main.komora_deleted WHERE id = ?", id) }
    try Self.forEach(live, "SELECT id, deleted_us FROM main.komora_deleted WHERE id > ?1 ORDER BY id") { row in
      guard let id = Self.recording(row[0]), !recordings.contains(id) else { return }
      try wanted.execute("INSERT OR IGNORE INTO main.komora_deleted VALUES (?, ?)", row[0], row[1])
    }
  }

  /// Makes a small table what it is now; nothing is written when it is.
  private func copy(_ table: String) throws {
    let isThere = "SELECT 1 FROM main.sqlite_master WHERE name = ?"
    guard try !wanted.query(isThere, .text(table)).isEmpty else { return }
    let rows = try live.query(isThere, .text(table)).isEmpty ? [] : live.query("SELECT * FROM main.\(table)")
    guard try wanted.query("SELECT * FROM main.\(table)") != rows else { return }
    try wanted.execute("DELETE FROM main.\(table)")
    for row in rows {
      let marks = row.map { _ in "?" }.joined(separator: ",")
      let statement = try wanted.cachedStatement("INSERT INTO main.\(table) VALUES (\(marks))")
      defer { wanted.recycle(statement) }
      for (i, value) in row.enumerated() { try statement.bind(value, at: i + 1) }
      while try statement.step() {}
    }
  }

  /// Rows in pieces, by the first column, so that no read spans a write of the same table.
  private static func forEach(_ connection: Connection, _ sql: String, _ body: ([Value]) throws -> Void) throws {
    var after: [UInt8] = []
    while true {
      let rows = try connection.query("\(sql) LIMIT 500", .blob(after))
      for row in rows {
        if case .blob(let id) = row[0] { after = id }
        try body(row)
      }
      if rows.count < 500 { return }
    }
  }

  private static func recording(_ value: Value) -> RecordingID? {
    guard case .blob(let id) = value, id.count == 16 else { return nil }
    return RecordingID(bytes: id)
  }
}
