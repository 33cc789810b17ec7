// How a foreign database is brought in: what is made before its rows, its tables in order, what is made behind them.

struct DatabasePlan: Codable, Equatable {
  struct Table: Codable, Equatable {
    var name: String
    /// Columns that are written, the row id by name where the table has one that no column shows.
    var columns: [String]
    var rows: Int64
    /// A foreign key leads back to this table, so no order of rows is right for sure.
    var isCyclic: Bool
  }

  /// CREATE TABLE statements, one a table, in the tables' order.
  var creates: [String]
  /// Tables that others refer to come before those.
  var tables: [Table]
  /// CREATE INDEX, VIEW and TRIGGER statements; triggers last, so that none sees the rows arrive.
  var finishes: [String]
  /// AUTOINCREMENT counters.
  var sequences: [String: Int64]
  /// What was converted or left out.
  var notes: [String]
}
