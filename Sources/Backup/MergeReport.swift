// What a merge or its undo did, or would do: counts of everything, and as much by name as fits. It holds values of the
// account's rows, so it is shown to the account's administrators and never logged.

import SQLite

package struct MergeReport: Sendable, Equatable {
  package struct Table: Sendable, Equatable {
    package var name: String
    package var inserted: Int64 = 0
    package var changed: Int64 = 0
    package var equal: Int64 = 0
    package var conflicts: Int64 = 0
    /// Rows that an undo took away.
    package var removed: Int64 = 0
    /// It was gone and was made again, or an undo has dropped it.
    package var isMade = false
    package var isDropped = false
    /// Columns that only the old or only the live table has.
    package var columnsThen: [String] = []
    package var columnsNow: [String] = []
    /// Triggers of the live table, none of which fired.
    package var triggers: [String] = []
    /// Indexes of a table that was made again whose names are taken now.
    package var indexesLeftOut: [String] = []

    var isTouched: Bool { inserted + changed + removed > 0 || isMade || isDropped }
  }

  package struct Recordings: Sendable, Equatable {
    package var inserted: Int64 = 0
    package var changed: Int64 = 0
    package var equal: Int64 = 0
    package var conflicts: Int64 = 0
    package var removed: Int64 = 0
    package var erased: Int64 = 0
    /// Of what was inserted or put back.
    package var bytes: Int64 = 0
  }

  /// A column of a row that is otherwise now; values as SQL writes them.
  package struct Difference: Sendable, Equatable {
    package var column: String
    package var then: String
    package var now: String
  }

  package struct Conflict: Sendable, Equatable {
    /// Nil for a recording.
    package var table: String?
    package var key: [String]
    package var differences: [Difference]
    /// Set when no policy can help: the constraint that is violated, or what would change besides.
    package var reason: String?
  }

  package var merge: MergeID
  package var source: DiffReport.Side
  package var tables: [Table] = []
  package var recordings = Recordings()
  package var conflicts: [Conflict] = []
  /// Keys of recordings that do not come back.
  package var erased: [String] = []
  package var isCut = false
  /// Constraints that would not hold, whatever the policy.
  package var violations: Int64 = 0
  package var isReplayed = false
  private var bytesLeft = MergeLimits.listBytesMax
  private let listed: Int

  package init(merge: MergeID, source: DiffReport.Side, listed: Int) {
    self.merge = merge
    self.source = source
    self.listed = listed
  }

  package var inserted: Int64 { tables.reduce(0) { $0 + $1.inserted } }
  package var changed: Int64 { tables.reduce(0) { $0 + $1.changed } }
  package var equal: Int64 { tables.reduce(0) { $0 + $1.equal } }
  package var removed: Int64 { tables.reduce(0) { $0 + $1.removed } }
  /// Rows and recordings that are otherwise now.
  package var conflictCount: Int64 { tables.reduce(recordings.conflicts) { $0 + $1.conflicts } }
  package var changes: Int64 {
    inserted + changed + removed + recordings.inserted + recordings.changed + recordings.removed
  }

  mutating func list(_ conflict: @autoclosure () -> Conflict) {
    guard conflicts.count < listed else {
      isCut = true
      return
    }
    let conflict = conflict()
    let bytes = conflict.differences.reduce(conflict.key.reduce(128) { $0 + $1.utf8.count }) {
      $0 + $1.column.utf8.count + $1.then.utf8.count + $1.now.utf8.count
    }
    guard bytes <= bytesLeft else {
      isCut = true
      return
    }
    bytesLeft -= bytes
    conflicts.append(conflict)
  }

  mutating func listErased(_ key: String) {
    recordings.erased += 1
    guard erased.count < listed, key.utf8.count <= bytesLeft else {
      isCut = true
      return
    }
    bytesLeft -= key.utf8.count
    erased.append(key)
  }

  static func shown(_ field: RowImage.Field) -> String {
    let text: String
    switch field {
    case .null: text = "NULL"
    case .integer(let value): text = "\(value)"
    case .real(let bits): text = "\(Double(bitPattern: bits))"
    case .text(let bytes):
      text = SQLText.literal(.text(String(decoding: bytes.prefix(MergeLimits.valueBytesMax), as: UTF8.self)))
    case .blob(let bytes): text = SQLText.literal(.blob(Array(bytes.prefix(MergeLimits.valueBytesMax / 2))))
    }
    switch field {
    case .text(let bytes) where bytes.count > MergeLimits.valueBytesMax: return text + "…"
    case .blob(let bytes) where bytes.count > MergeLimits.valueBytesMax / 2: return text + "…"
    default: return text
    }
  }
}

extension MergeReport {
  /// Rows whose foreign keys would lead nowhere.
  mutating func note(dangling: [Conflict]) {
    for conflict in dangling {
      violations += 1
      list(conflict)
    }
  }

  /// Of a repetition: the counts that the first one told.
  mutating func take(counted: [Int64]) {
    guard counted.count == 9 else { return }
    var table = Table(name: "")
    (table.inserted, table.changed, table.equal, table.conflicts) = (counted[0], counted[1], counted[2], counted[3])
    tables = [table]
    (recordings.inserted, recordings.changed, recordings.equal) = (counted[4], counted[5], counted[6])
    (recordings.erased, recordings.bytes) = (counted[7], counted[8])
  }
}
