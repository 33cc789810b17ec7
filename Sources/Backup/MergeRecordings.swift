// A merge of recordings. Their bytes are looked after before the transaction: most were only deleted and still lie in the
// account's volumes; what is gone comes out of the archive, coded as it was. Their rows are compared and written inside
// the transaction, as those of tables are.

import AtRest
import Base
import Formats
import OpenSSL
import SQLite
import ShardStore

/// What rows of the old state may name now.
struct MergedBytes: Sendable {
  /// By the id that the old row has: the same bytes as they are stored now.
  var stored: [RecordingID: StoredRecording] = [:]
  /// Old ids whose bytes still lie where they were.
  var kept: Set<RecordingID> = []
  var erased: Set<RecordingID> = []

  func knows(_ id: RecordingID) -> Bool { stored[id] != nil || kept.contains(id) || erased.contains(id) }

  /// The old row with the bytes as they are stored now.
  func row(_ old: RecordingRow) -> RecordingRow {
    var row = old
    guard let stored = stored[old.id] else { return row }
    (row.id, row.chunkNames) = (stored.id, stored.chunkNames)
    return row
  }
}

struct MergeRecordingRows {
  static let catalog = "komora_recordings"
  let selection: RowSelection
  let old: Connection
  let live: Connection

  /// Each old row that the selection chooses, by key.
  func forEachChosen(_ body: (RecordingRow) throws -> Void) throws {
    guard selection.hasRecordings, let table = try DiffTable.named(Self.catalog, in: old) else { return }
    let condition = try RowSelectionSQL.recordings(table, in: selection)
    let scan = try MergeTable.statement(old, "SELECT \"key\" FROM main.\(Self.catalog) WHERE \(condition.text)")
    defer { scan.finalize() }
    for (i, value) in condition.1.enumerated() { try scan.bind(value, at: i + 1) }
    while try scan.step() {
      guard let key = scan.column(0).text, let row = try RecordingCatalog.get(old, key: key) else {
        throw BackupError(.damaged, "a row of komora_recordings is not what the system writes")
      }
      try body(row)
    }
  }

  enum Relation {
    case missing, equal
    /// Other bytes, or the same described otherwise; which columns.
    case differs(RecordingRow, [MergeReport.Difference])
  }

  func relation(_ old: RecordingRow) throws -> Relation {
    guard try DiffTable.named(Self.catalog, in: live) != nil, let now = try RecordingCatalog.get(live, key: old.key)
    else {
      return .missing
    }
    var differences: [MergeReport.Difference] = []
    func compare(_ column: String, _ then: String, _ now: String) {
      if then != now { differences.append(MergeReport.Difference(column: column, then: then, now: now)) }
    }
    compare("bytes", "\(old.bytes)", "\(now.bytes)")
    compare("md5", old.md5.hex, now.md5.hex)
    compare("content_type", old.contentType, now.contentType)
    compare("metadata", old.metadata, now.metadata)
    compare("created_us", "\(old.createdAt)", "\(now.createdAt)")
    return differences.isEmpty ? .equal : .differs(now, differences)
  }

  /// All columns of a live row.
  static func image(_ connection: Connection, _ key: String) throws -> RowImage? {
    let fetch = try MergeTable.statement(
      connection,
      """
      SELECT key, id, bytes, md5, content_type, metadata, created_us, chunk_names FROM main.komora_recordings
      WHERE key = ?
      """)
    defer { fetch.finalize() }
    try fetch.bind(.text(key), at: 1)
    return try fetch.step() ? fetch.image(0..<8) : nil
  }

  static func row(_ image: RowImage) throws -> RecordingRow {
    guard let row = RecordingRow(image.fields.map(\.value)) else {
      throw BackupError(.damaged, "what undoes the merge of a recording cannot be read")
    }
    return row
  }
}

/// A recording whose bytes nobody has looked after, because its row changed since: everything is rolled back, and the merge
/// begins again.
struct MergeBytesMissing: Error {
  var recordings: [RecordingRow]
}

extension MergeRows {
  mutating func mergeRecordings(_ bytes: MergedBytes, isDry: Bool, at time: UnixMicroseconds) throws {
    let rows = MergeRecordingRows(selection: selection, old: old, live: live)
    var missing: [RecordingRow] = []
    var merge = self
    try rows.forEachChosen { old in
      try merge.count()
      let relation = try rows.relation(old)
      if case .equal = relation {
        merge.report.recordings.equal += 1
        return
      }
      guard !bytes.erased.contains(old.id) else { return merge.report.listErased(old.key) }
      if case .differs(_, let differences) = relation, merge.policy != .take {
        merge.report.recordings.conflicts += 1
        merge.report.list(
          MergeReport.Conflict(table: nil, key: [old.key], differences: differences))
        return
      }
      if !isDry, !bytes.knows(old.id) {
        if missing.count < 1_000 { missing.append(old) }
        return
      }
      try merge.bringBack(bytes.row(old), at: time)
    }
    self = merge
    if !missing.isEmpty { throw MergeBytesMissing(recordings: missing) }
  }

  private mutating func bringBack(_ row: RecordingRow, at time: UnixMicroseconds) throws {
    let before = try MergeRecordingRows.image(live, row.key)
    try RecordingCatalog.putBack(live, row, at: time)
    guard let after = try MergeRecordingRows.image(live, row.key) else {
      throw BackupError(.failed, "a recording that was merged is not there")
    }
    if before == nil { report.recordings.inserted += 1 } else { report.recordings.changed += 1 }
    report.recordings.bytes += Int64(row.bytes)
    try journal.add(
      .recording, MergeRecordingRows.catalog, key: RowImage([after.fields[0]]), before: before,
      after: MergeJournal.hash(after))
  }
}
