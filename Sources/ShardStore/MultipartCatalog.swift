// The rows of uploads in parts: which are open, and which parts of them are durable.
//
// A part is a recording without a name of its own; its bytes are copied into the object's recording when the upload is
// completed, and are free as soon as no row names them. The tables are made by an account's first upload in parts.

package import Base
package import SQLite

package struct MultipartUpload: Sendable, Equatable {
  /// 16 bytes.
  package var id: [UInt8]
  package var key: String
  package var contentType: String
  /// A JSON object of strings, for the object to be.
  package var metadata: String
  package var createdAt: UnixMicroseconds
  /// Of the object, once the upload was completed: who asks again gets the same answer.
  package var etag: String?

  package init(id: [UInt8], key: String, contentType: String, metadata: String, createdAt: UnixMicroseconds) {
    (self.id, self.key, self.contentType, self.metadata, self.createdAt) = (id, key, contentType, metadata, createdAt)
  }
}

package struct UploadedPart: Sendable, Equatable {
  package var number: Int
  package var id: RecordingID
  package var bytes: Int
  package var md5: [UInt8]
  /// As the layer above writes it; empty for none.
  package var checksum: String
  package var createdAt: UnixMicroseconds
}

package enum MultipartCatalog {
  private static let schema = """
    CREATE TABLE IF NOT EXISTS main.komora_uploads (
      id BLOB PRIMARY KEY, key TEXT NOT NULL, content_type TEXT NOT NULL, metadata TEXT NOT NULL,
      created_us INTEGER NOT NULL, etag TEXT) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS main.komora_uploads_by_key ON komora_uploads (key, id);
    CREATE TABLE IF NOT EXISTS main.komora_upload_parts (
      upload BLOB NOT NULL, number INTEGER NOT NULL, id BLOB NOT NULL, bytes INTEGER NOT NULL, md5 BLOB NOT NULL,
      checksum TEXT NOT NULL, created_us INTEGER NOT NULL, PRIMARY KEY (upload, number)) WITHOUT ROWID;
    """
  private static let uploadColumns = "id, key, content_type, metadata, created_us, etag"

  static func isThere(_ connection: Connection) throws(SQLiteError) -> Bool {
    try !connection.query("SELECT 1 FROM main.sqlite_master WHERE name = 'komora_upload_parts'").isEmpty
  }

  static func make(_ connection: Connection) throws(SQLiteError) { try connection.executeScript(schema) }

  package static func begin(_ connection: Connection, _ upload: MultipartUpload) throws(SQLiteError) {
    if try !isThere(connection) { try make(connection) }
    try connection.execute(
      "INSERT INTO main.komora_uploads (\(uploadColumns)) VALUES (?,?,?,?,?,NULL)", .blob(upload.id), .text(upload.key),
      .text(upload.contentType), .text(upload.metadata), .integer(upload.createdAt))
  }

  package static func upload(_ connection: Connection, _ id: [UInt8]) throws(SQLiteError) -> MultipartUpload? {
    guard try isThere(connection) else { return nil }
    return try connection.query("SELECT \(uploadColumns) FROM main.komora_uploads WHERE id = ?", .blob(id)).first
      .flatMap(upload)
  }

  /// Open uploads whose keys begin with `prefix`, behind (`key`, `id`), by key in byte order.
  package static func list(
    _ connection: Connection, prefix: String, after key: String, _ id: [UInt8], limit: Int
  ) throws(SQLiteError) -> [MultipartUpload] {
    guard try isThere(connection) else { return [] }
    let sql = """
      SELECT \(uploadColumns) FROM main.komora_uploads
      WHERE key >= ? AND (key, id) > (?, ?) AND etag IS NULL ORDER BY key, id LIMIT ?
      """
    let rows = try connection.query(sql, .text(prefix), .text(key), .blob(id), .integer(Int64(limit)))
    return rows.compactMap(upload).filter { $0.key.utf8.starts(with: prefix.utf8) }
  }

  /// A part that was there before under this number is replaced.
  package static func put(
    _ connection: Connection, part number: Int, of upload: [UInt8], _ recording: StoredRecording, checksum: String,
    at time: UnixMicroseconds
  ) throws(SQLiteError) {
    (connection.pageSession as? StoreSession)?.recordings.append(recording.id)
    try connection.execute(
      "INSERT OR REPLACE INTO main.komora_upload_parts VALUES (?,?,?,?,?,?,?)", .blob(upload), .integer(Int64(number)),
      .blob(recording.id.bytes), .integer(Int64(recording.bytes)), .blob(recording.md5), .text(checksum),
      .integer(time))
  }

  /// Parts with numbers greater than `after`, in order.
  package static func parts(
    _ connection: Connection, of upload: [UInt8], after: Int = 0, limit: Int
  ) throws(SQLiteError) -> [UploadedPart] {
    let sql = """
      SELECT number, id, bytes, md5, checksum, created_us FROM main.komora_upload_parts
      WHERE upload = ? AND number > ? ORDER BY number LIMIT ?
      """
    return try connection.query(sql, .blob(upload), .integer(Int64(after)), .integer(Int64(limit))).compactMap { row in
      guard case .integer(let number) = row[0], case .blob(let id) = row[1], id.count == 16,
        case .integer(let bytes) = row[2], case .blob(let md5) = row[3], case .text(let checksum) = row[4],
        case .integer(let created) = row[5]
      else { return nil }
      return UploadedPart(
        number: Int(number), id: RecordingID(bytes: id), bytes: Int(bytes), md5: md5, checksum: checksum,
        createdAt: created)
    }
  }

  /// Ends an upload: its parts are free. With `etag` it stays known as completed.
  package static func end(_ connection: Connection, _ id: [UInt8], etag: String? = nil) throws(SQLiteError) {
    try connection.execute("DELETE FROM main.komora_upload_parts WHERE upload = ?", .blob(id))
    if let etag {
      try connection.execute("UPDATE main.komora_uploads SET etag = ? WHERE id = ?", .text(etag), .blob(id))
    } else {
      try connection.execute("DELETE FROM main.komora_uploads WHERE id = ?", .blob(id))
    }
  }

  /// Ends the uploads that were begun before `time`.
  static func expire(_ connection: Connection, before time: UnixMicroseconds) throws(SQLiteError) {
    guard try isThere(connection) else { return }
    let old = try connection.query("SELECT id FROM main.komora_uploads WHERE created_us < ?", .integer(time))
    for id in old.compactMap({ $0[0].blob }) { try end(connection, id) }
  }

  /// The recordings that are parts.
  static func recordings(_ connection: Connection) throws(SQLiteError) -> [RecordingID] {
    guard try isThere(connection) else { return [] }
    return try connection.query("SELECT id FROM main.komora_upload_parts").compactMap { row in
      row[0].blob.flatMap { $0.count == 16 ? RecordingID(bytes: $0) : nil }
    }
  }

  private static func upload(_ row: [Value]) -> MultipartUpload? {
    guard case .blob(let id) = row[0], case .text(let key) = row[1], case .text(let type) = row[2],
      case .text(let metadata) = row[3], case .integer(let created) = row[4]
    else { return nil }
    var upload = MultipartUpload(id: id, key: key, contentType: type, metadata: metadata, createdAt: created)
    if case .text(let etag) = row[5] { upload.etag = etag }
    return upload
  }
}
