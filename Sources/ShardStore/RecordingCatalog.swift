// The rows that make recordings exist: names, sizes and hashes, in the account's own database, so that a position of the
// log names both data and recordings.

package import Base
package import SQLite

package struct RecordingRow: Sendable, Equatable {
  package var key: String
  package var id: RecordingID
  package var bytes: Int
  package var md5: [UInt8]
  package var contentType: String
  /// A JSON object of strings.
  package var metadata: String
  package var createdAt: UnixMicroseconds
  /// 32 bytes each.
  package var chunkNames: [[UInt8]]
}

package enum RecordingCatalog {
  /// The system's tables; every account has them from its first record.
  package static let schema = """
    CREATE TABLE main.komora_recordings (
      key TEXT PRIMARY KEY, id BLOB NOT NULL, bytes INTEGER NOT NULL, md5 BLOB NOT NULL, content_type TEXT NOT NULL,
      metadata TEXT NOT NULL, created_us INTEGER NOT NULL, chunk_names BLOB NOT NULL) WITHOUT ROWID;
    CREATE INDEX main.komora_recordings_by_id ON komora_recordings (id);
    CREATE TABLE main.komora_deleted (id BLOB PRIMARY KEY, deleted_us INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE main.komora_requests (
      key TEXT PRIMARY KEY, hash BLOB NOT NULL, reply BLOB NOT NULL, at_us INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX main.komora_requests_by_time ON komora_requests (at_us);
    CREATE TABLE main.komora_meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
    INSERT INTO main.komora_meta VALUES ('schema', 1);
    CREATE VIEW main.komora_objects AS
      SELECT key, bytes, lower(hex(md5)) AS md5, content_type, metadata, created_us FROM komora_recordings;
    """

  private static let columns = "key, id, bytes, md5, content_type, metadata, created_us, chunk_names"

  /// Makes a recording exist under `key`; one that was there before is replaced and remembered as deleted.
  package static func put(
    _ connection: Connection, key: String, _ recording: StoredRecording, contentType: String, metadata: String,
    at time: UnixMicroseconds
  ) throws(SQLiteError) {
    _ = try delete(connection, key: key, at: time)
    (connection.pageSession as? StoreSession)?.recordings.append(recording.id)
    try connection.execute(
      "INSERT INTO main.komora_recordings (\(columns)) VALUES (?,?,?,?,?,?,?,?)",
      .text(key), .blob(recording.id.bytes), .integer(Int64(recording.bytes)), .blob(recording.md5),
      .text(contentType), .text(metadata), .integer(time), .blob(recording.chunkNames.flatMap { $0 }))
  }

  /// Replaces what is kept of an object beside its bytes; `time` when that makes it a newer one. False when there is none.
  package static func describe(
    _ connection: Connection, key: String, contentType: String, metadata: String, at time: UnixMicroseconds?
  ) throws(SQLiteError) -> Bool {
    try !connection.query(
      """
      UPDATE main.komora_recordings SET content_type = ?, metadata = ?, created_us = coalesce(?, created_us)
      WHERE key = ? RETURNING 1
      """, .text(contentType), .text(metadata), time.map { .integer($0) } ?? .null, .text(key)
    ).isEmpty
  }

  package static func get(_ connection: Connection, key: String) throws(SQLiteError) -> RecordingRow? {
    try connection.query("SELECT \(columns) FROM main.komora_recordings WHERE key = ?", .text(key)).first.flatMap(row)
  }

  /// Rows whose key begins with `prefix` and is greater than `after`, by key in byte order.
  package static func list(
    _ connection: Connection, prefix: String = "", after: String = "", limit: Int
  ) throws(SQLiteError) -> [RecordingRow] {
    let sql = "SELECT \(columns) FROM main.komora_recordings WHERE key >= ? AND key > ? ORDER BY key LIMIT ?"
    var rows: [RecordingRow] = []
    for values in try connection.query(sql, .text(prefix), .text(after), .integer(Int64(limit))) {
      // Keys with the prefix lie side by side: the first without it ends them.
      guard case .text(let key) = values[0], key.utf8.starts(with: prefix.utf8) else { break }
      if let row = row(values) { rows.append(row) }
    }
    return rows
  }

  /// False when there was none. Its bytes stay until no archive can need them.
  package static func delete(_ connection: Connection, key: String, at time: UnixMicroseconds) throws(SQLiteError)
    -> Bool
  {
    guard let old = try connection.query("SELECT id FROM main.komora_recordings WHERE key = ?", .text(key)).first else {
      return false
    }
    try connection.execute("INSERT OR REPLACE INTO main.komora_deleted VALUES (?, ?)", old[0], .integer(time))
    try connection.execute("DELETE FROM main.komora_recordings WHERE key = ?", .text(key))
    return true
  }

  package static func count(_ connection: Connection) throws(SQLiteError) -> (recordings: Int, bytes: Int) {
    let row = try connection.query("SELECT count(*), coalesce(sum(bytes), 0) FROM main.komora_recordings")[0]
    return (Int(row[0].integer ?? 0), Int(row[1].integer ?? 0))
  }

  /// Every recording that a row names, or named a short time ago; parts of uploads too.
  package static func known(_ connection: Connection) throws(SQLiteError) -> Set<RecordingID> {
    let rows = try connection.query("SELECT id FROM main.komora_recordings UNION SELECT id FROM main.komora_deleted")
    let named = Set(rows.compactMap { $0[0].blob.flatMap { $0.count == 16 ? RecordingID(bytes: $0) : nil } })
    return named.union(try MultipartCatalog.recordings(connection))
  }

  /// Calls `body` with the id of each recording that a row names, in order and once.
  package static func forEachID(_ connection: Connection, _ body: (RecordingID) throws -> Void) throws {
    var after: [UInt8] = []
    while true {
      let rows = try connection.query(
        "SELECT DISTINCT id FROM main.komora_recordings WHERE id > ? ORDER BY id LIMIT 500", .blob(after))
      for row in rows {
        guard case .blob(let id) = row[0] else { continue }
        after = id
        if id.count == 16 { try body(RecordingID(bytes: id)) }
      }
      if rows.count < 500 { return }
    }
  }

  private static func row(_ values: [Value]) -> RecordingRow? {
    guard case .text(let key) = values[0], case .blob(let id) = values[1], id.count == 16,
      case .integer(let bytes) = values[2], let md5 = values[3].blob, case .text(let type) = values[4],
      case .text(let metadata) = values[5], case .integer(let created) = values[6], let names = values[7].blob,
      names.count % 32 == 0
    else { return nil }
    return RecordingRow(
      key: key, id: RecordingID(bytes: id), bytes: Int(bytes), md5: md5, contentType: type, metadata: metadata,
      createdAt: created, chunkNames: stride(from: 0, to: names.count, by: 32).map { Array(names[$0..<($0 + 32)]) })
  }
}
