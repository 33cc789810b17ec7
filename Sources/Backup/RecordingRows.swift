// The rows of recordings in a database, a few hundred at a time, so that memory does not grow with their names.

package import Base
import Formats
package import SQLite

package enum RecordingRows {
  private static let batch = 500

  /// What a snapshot needs of each recording; sorted by id, none twice.
  package static func all(in connection: Connection) throws -> [SourceRecording] {
    var found: [SourceRecording] = []
    var after: [UInt8] = []
    while true {
      let rows = try connection.query(
        "SELECT id, bytes, chunk_names FROM main.komora_recordings WHERE id > ? ORDER BY id LIMIT \(batch)",
        .blob(after))
      for row in rows {
        guard case .blob(let id) = row[0], case .integer(let bytes) = row[1], case .blob(let names) = row[2],
          id.count == 16, bytes >= 0, names.count % 32 == 0
        else { throw BackupError(.damaged, "a row of komora_recordings is not what the system writes") }
        after = id
        let recording = SourceRecording(
          id: RecordingID(bytes: id), bytes: UInt64(bytes), chunks: names.count / 32,
          root: RecordingRoot.hash([names]))
        if found.last?.id != recording.id { found.append(recording) }
      }
      if rows.count < batch { return found }
    }
  }

  /// One recording as the database calls it.
  package struct Named: Sendable, Equatable {
    package var key: String
    package var id: RecordingID
    package var bytes: Int64
    package var md5: [UInt8]
  }

  /// Calls `body` with each row, in the order of keys.
  package static func forEach(in connection: Connection, _ body: (Named) throws -> Void) throws {
    var after: String?
    while true {
      let rows = try connection.query(
        "SELECT key, id, bytes, md5 FROM main.komora_recordings WHERE ?1 IS NULL OR key > ?1 "
          + "ORDER BY key LIMIT \(batch)",
        after.map { .text($0) } ?? .null)
      for row in rows {
        guard case .text(let key) = row[0], case .blob(let id) = row[1], case .integer(let bytes) = row[2],
          case .blob(let md5) = row[3], id.count == 16
        else { throw BackupError(.damaged, "a row of komora_recordings is not what the system writes") }
        after = key
        try body(Named(key: key, id: RecordingID(bytes: id), bytes: bytes, md5: md5))
      }
      if rows.count < batch { return }
    }
  }
}
