// What a comparison found, as JSON. It names keys of rows and recordings, so only whoever may start one sees it.

import Backup

struct DiffReply: Encodable {
  struct Counts: Encodable {
    var added: Int64
    var removed: Int64
    var changed: Int64
  }

  struct Table: Encodable {
    var name: String
    /// Only when one side alone has the table.
    var change: String?
    var rows: Counts
    var columnsAdded: [String]
    var columnsRemoved: [String]
    var note: String?
  }

  struct SchemaChange: Encodable {
    var kind: String
    var name: String
    var change: String
  }

  struct Row: Encodable {
    var table: String
    var change: String
    /// Each value as SQL writes it.
    var key: [String]
    var columns: [String]
  }

  struct Recordings: Encodable {
    var added: Int64
    var removed: Int64
    var replaced: Int64
    var described: Int64
  }

  struct Recording: Encodable {
    var key: String
    var change: String
  }

  var identical: Bool
  var tables: [Table]
  var schema: [SchemaChange]
  var recordings: Recordings
  var listedRows: [Row]
  var listedRecordings: [Recording]
  /// More was found than is listed.
  var cut: Bool

  init(_ report: DiffReport) {
    identical = report.isIdentical
    tables = report.tables.map {
      Table(
        name: $0.name, change: $0.change?.rawValue,
        rows: Counts(added: $0.rows.added, removed: $0.rows.removed, changed: $0.rows.changed),
        columnsAdded: $0.columnsAdded, columnsRemoved: $0.columnsRemoved, note: $0.note)
    }
    schema = report.schema.map { SchemaChange(kind: $0.kind, name: $0.name, change: $0.change.rawValue) }
    let counts = report.recordings
    recordings = Recordings(
      added: counts.added, removed: counts.removed, replaced: counts.replaced, described: counts.described)
    listedRows = report.listedRows.map {
      Row(table: $0.table, change: $0.change.rawValue, key: $0.key, columns: $0.columns)
    }
    listedRecordings = report.listedRecordings.map { Recording(key: $0.key, change: $0.change.rawValue) }
    cut = report.isCut
  }
}
