// What a merge found and did, as JSON. It shows values of the account's rows: only whoever may start one sees it.

import Backup
import Base
import Node

struct MergeReply: Encodable {
  struct Table: Encodable {
    var name: String
    var inserted: Int64
    var changed: Int64
    var equal: Int64
    var conflicts: Int64
    var removed: Int64
    /// The table was gone and was made again; or an undo dropped it.
    var made: Bool
    var dropped: Bool
    var columnsThen: [String]
    var columnsNow: [String]
    /// None of them fired.
    var triggers: [String]
    var indexesLeftOut: [String]
  }

  struct Recordings: Encodable {
    var inserted: Int64
    var changed: Int64
    var equal: Int64
    var conflicts: Int64
    var removed: Int64
    var erased: Int64
    var bytes: Int64
  }

  struct Difference: Encodable {
    var column: String
    /// As SQL writes it.
    var then: String
    var now: String
  }

  struct Conflict: Encodable {
    /// Without it a recording.
    var table: String?
    var key: [String]
    var differences: [Difference]
    var reason: String?
  }

  var merge: String
  var tables: [Table]
  var recordings: Recordings
  var conflicts: [Conflict]
  var erased: [String]
  var violations: Int64
  /// More was found than is listed.
  var cut: Bool

  init(_ report: MergeReport) {
    merge = "\(JobID(bits: report.merge))"
    tables = report.tables.map {
      Table(
        name: $0.name, inserted: $0.inserted, changed: $0.changed, equal: $0.equal, conflicts: $0.conflicts,
        removed: $0.removed, made: $0.isMade, dropped: $0.isDropped, columnsThen: $0.columnsThen,
        columnsNow: $0.columnsNow, triggers: $0.triggers, indexesLeftOut: $0.indexesLeftOut)
    }
    let counts = report.recordings
    recordings = Recordings(
      inserted: counts.inserted, changed: counts.changed, equal: counts.equal, conflicts: counts.conflicts,
      removed: counts.removed, erased: counts.erased, bytes: counts.bytes)
    conflicts = report.conflicts.map { conflict in
      Conflict(
        table: conflict.table, key: conflict.key,
        differences: conflict.differences.map { Difference(column: $0.column, then: $0.then, now: $0.now) },
        reason: conflict.reason)
    }
    (erased, violations, cut) = (report.erased, report.violations, report.isCut)
  }
}
