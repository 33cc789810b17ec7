// Which recordings of the account an export holds: those of its period that no export before it in the chain holds.

import Base
import SQLite
import ShardStore

final class RecordingChoice {
  struct Row {
    var key: String
    var id: RecordingID
    var bytes: UInt64
    var md5: [UInt8]
    var contentType: String
    var createdAt: UnixMicroseconds
    /// Keys of other recordings lie below this one, as in a directory.
    var isDirectory: Bool
  }

  private static let batch = 500
  private let connection: Connection
  private let order: ExportOrder
  private let held: HeldRecordings?

  init(connection: Connection, order: ExportOrder, held: HeldRecordings?) {
    self.connection = connection
    self.order = order
    self.held = held
  }

  private func isInPeriod(_ time: UnixMicroseconds) -> Bool {
    (order.from.map { time >= $0 } ?? true) && (order.to.map { time < $0 } ?? true)
  }

  /// Bytes of the recordings, for room on the disk and for a bar that shows how far the work is.
  func totalBytes() throws -> UInt64 {
    guard held == nil else {
      var total: UInt64 = 0
      try forEach { total += $0.bytes }
      return total
    }
    let rows = try connection.query(
      "SELECT coalesce(sum(bytes), 0) FROM main.komora_recordings WHERE created_us >= ? AND created_us < ?",
      .integer(order.from ?? .min), .integer(order.to ?? .max))
    return UInt64(clamping: rows.first?.first?.integer ?? 0)
  }

  /// In the order of keys, a batch of rows in memory at a time.
  func forEach(_ body: (Row) throws -> Void) throws {
    var after: String?
    while true {
      let rows = try connection.query(
        """
        SELECT key, id, bytes, md5, content_type, created_us FROM main.komora_recordings
        WHERE ?1 IS NULL OR key > ?1 ORDER BY key LIMIT \(Self.batch)
        """, after.map { .text($0) } ?? .null)
      for values in rows {
        let row = try self.row(values)
        after = row.key
        guard isInPeriod(row.createdAt), try held?.contains(row.id) != true else { continue }
        try body(row)
      }
      if rows.count < Self.batch { return }
    }
  }

  private func row(_ values: [Value]) throws -> Row {
    guard case .text(let key) = values[0], let id = values[1].blob, id.count == 16, let bytes = values[2].integer,
      bytes >= 0, let md5 = values[3].blob, case .text(let type) = values[4], let created = values[5].integer
    else { throw BackupError(.damaged, "a row of komora_recordings is not what the system writes") }
    // Keys that begin with "<key>/" lie side by side, before those that begin with the character behind "/".
    let below = try connection.query(
      "SELECT 1 FROM main.komora_recordings WHERE key >= ? AND key < ? LIMIT 1", .text(key + "/"), .text(key + "0"))
    return Row(
      key: key, id: RecordingID(bytes: id), bytes: UInt64(bytes), md5: md5, contentType: type, createdAt: created,
      isDirectory: !below.isEmpty)
  }

  /// How many ids `forEachHeld` gives.
  func heldCount() throws -> UInt64 {
    var count: UInt64 = 0
    try forEachHeld { _ in count += 1 }
    return count
  }

  /// What this export and those before it hold of the recordings that are still there, in the order of ids.
  func forEachHeld(_ body: (RecordingID) throws -> Void) throws {
    var after: [UInt8] = []
    while true {
      let rows = try connection.query(
        "SELECT id, created_us FROM main.komora_recordings WHERE id > ? ORDER BY id LIMIT \(Self.batch)", .blob(after))
      for values in rows {
        guard let bytes = values[0].blob, bytes.count == 16, let created = values[1].integer else {
          throw BackupError(.damaged, "a row of komora_recordings is not what the system writes")
        }
        let isSecond = bytes == after
        after = bytes
        let id = RecordingID(bytes: bytes)
        if !isSecond, try isInPeriod(created) || held?.contains(id) == true { try body(id) }
      }
      if rows.count < Self.batch { return }
    }
  }
}
