// Recordings that come back to an account that lives: their bytes first, then, in somebody's transaction, their rows.

package import AtRest
package import Base
import Formats
import OpenSSL
package import SQLite

extension Engine {
  /// Of `recordings`, those whose bytes or key are not here. The others are durable, and for the grace of uploads nothing
  /// collects their bytes. Blocks.
  package func keepRecordings(_ id: AccountID, _ recordings: [RecordingID]) throws -> [RecordingID] {
    let shard = try openNow(id)
    shard.hold()
    defer { shard.release() }
    shard.recordings.protect(recordings, now: clock.monotonicNanoseconds())
    return try shard.recordings.settle(recordings)
  }

  /// Whether the account still has the key of a recording: without it the recording was erased. Blocks.
  package func hasRecordingKey(_ id: AccountID, _ recording: RecordingID) throws -> Bool {
    try keyring(id).hasRecordingKey(recording)
  }

  /// A recording whose chunks were coded before, under a new id and key: durable when it returns. `next` gives each chunk
  /// as it was and as it is coded, nil at the end. Blocks.
  package func storeCoded(
    _ id: AccountID, _ next: () throws -> (original: [UInt8], coded: CodedChunk)?
  ) throws -> StoredRecording {
    let shard = try openNow(id)
    shard.hold()
    defer { shard.release() }
    let (recording, key) = try shard.recordings.begin(now: clock.monotonicNanoseconds())
    do {
      let md5 = Hasher(.md5)
      var names: [[UInt8]] = []
      var volumes: Set<UInt32> = []
      var bytes = 0
      var pending = try next() ?? ([], CodedChunk(stored: []))
      while true {
        let following = try next()
        let sealed = try shard.recordings.reseal(
          pending.coded, number: names.count, isLast: following == nil, key: key, recording: recording)
        volumes.insert(try shard.recordings.volumes.append(sealed, try ChunkHeader(front: sealed[...])))
        names.append(shard.recordings.chunkName(pending.original))
        md5.update(pending.original)
        bytes += pending.original.count
        guard let following else { break }
        pending = following
      }
      try shard.recordings.finish(volumes)
      return StoredRecording(id: recording, bytes: bytes, md5: md5.finish(), chunkNames: names)
    } catch {
      shard.recordings.cancel(recording)
      throw error
    }
  }
}

extension RecordingRow {
  /// From the columns in the order in which they are declared; nil when they are not what the system writes.
  package init?(_ values: [Value]) {
    guard values.count == 8, case .text(let key) = values[0], case .blob(let id) = values[1], id.count == 16,
      case .integer(let bytes) = values[2], bytes >= 0, case .blob(let md5) = values[3],
      case .text(let type) = values[4], case .text(let metadata) = values[5], case .integer(let created) = values[6],
      case .blob(let names) = values[7], names.count % 32 == 0
    else { return nil }
    self.init(
      key: key, id: RecordingID(bytes: id), bytes: Int(bytes), md5: md5, contentType: type, metadata: metadata,
      createdAt: created, chunkNames: stride(from: 0, to: names.count, by: 32).map { Array(names[$0..<($0 + 32)]) })
  }
}

extension RecordingCatalog {
  /// Makes a row exist as it is given; one that is there under its key is replaced and remembered as deleted. The bytes of
  /// `row.id` are durable already.
  package static func putBack(_ connection: Connection, _ row: RecordingRow, at time: UnixMicroseconds) throws {
    _ = try delete(connection, key: row.key, at: time)
    (connection.pageSession as? StoreSession)?.recordings.append(row.id)
    try connection.execute("DELETE FROM main.komora_deleted WHERE id = ?", .blob(row.id.bytes))
    try connection.execute(
      """
      INSERT INTO main.komora_recordings (key, id, bytes, md5, content_type, metadata, created_us, chunk_names)
      VALUES (?,?,?,?,?,?,?,?)
      """,
      .text(row.key), .blob(row.id.bytes), .integer(Int64(row.bytes)), .blob(row.md5), .text(row.contentType),
      .text(row.metadata), .integer(row.createdAt), .blob(row.chunkNames.flatMap { $0 }))
  }
}
