// What differs between two states of an account: counts of everything, and names of as much as was asked for.

package import Base

package struct DiffReport: Sendable, Equatable {
  package enum Change: String, Sendable { case added, removed, changed }

  package struct Counts: Sendable, Equatable {
    package var added: Int64 = 0
    package var removed: Int64 = 0
    package var changed: Int64 = 0
    package var isEmpty: Bool { added == 0 && removed == 0 && changed == 0 }

    package init() {}

    mutating func count(_ change: Change) {
      switch change {
      case .added: added += 1
      case .removed: removed += 1
      case .changed: changed += 1
      }
    }
  }

  /// A table in which something differs.
  package struct Table: Sendable, Equatable {
    package var name: String
    /// Set when only one side has the table.
    package var change: Change?
    package var rows = Counts()
    /// Columns that only one side has. A row does not count as changed for what such a column holds.
    package var columnsAdded: [String] = []
    package var columnsRemoved: [String] = []
    /// Why rows could not be matched one by one; then those of one side count as removed, those of the other as added.
    package var note: String?

    var isEmpty: Bool { change == nil && rows.isEmpty && columnsAdded.isEmpty && columnsRemoved.isEmpty && note == nil }
  }

  /// A table, index, view or trigger that came, went, or is declared otherwise.
  package struct SchemaChange: Sendable, Equatable {
    package var kind: String
    package var name: String
    package var change: Change
  }

  package struct Row: Sendable, Equatable {
    package var table: String
    package var change: Change
    /// The row's key, each value as SQL writes it, such as `42`, `'Kyiv'`, `x'00ff'`, `NULL`.
    package var key: [String]
    /// Of a changed row: the columns that differ.
    package var columns: [String]
  }

  package struct Recordings: Sendable, Equatable {
    package var added: Int64 = 0
    package var removed: Int64 = 0
    /// Other bytes under the same key.
    package var replaced: Int64 = 0
    /// The same bytes, and another type, time or metadata.
    package var described: Int64 = 0
    package var isEmpty: Bool { added == 0 && removed == 0 && replaced == 0 && described == 0 }
  }

  package struct Recording: Sendable, Equatable {
    package enum Change: String, Sendable { case added, removed, replaced, described }
    package var key: String
    package var change: Change
  }

  /// What was compared.
  package struct Side: Sendable, Equatable {
    package var name: String
    package var position: Position
    /// When the snapshot was taken.
    package var createdAt: UnixMicroseconds?

    package init(name: String, position: Position, createdAt: UnixMicroseconds?) {
      self.name = name
      self.position = position
      self.createdAt = createdAt
    }
  }

  package var from: Side
  package var to: Side
  /// By name; those without a difference are left out.
  package var tables: [Table] = []
  package var schema: [SchemaChange] = []
  package var recordings = Recordings()
  package var listedRows: [Row] = []
  package var listedRecordings: [Recording] = []
  /// Something was counted and not listed, although a list was asked for.
  package var isCut = false

  package init(from: Side, to: Side) {
    self.from = from
    self.to = to
  }

  /// Whether no row, recording or declaration differs.
  package var isIdentical: Bool { tables.isEmpty && schema.isEmpty && recordings.isEmpty }

  /// Of all tables.
  package var rows: Counts {
    tables.reduce(into: Counts()) {
      $0.added += $1.rows.added
      $0.removed += $1.rows.removed
      $0.changed += $1.rows.changed
    }
  }
}
