// What a comparison must know of a table: which columns are stored, and what tells its rows apart.

import Base
package import SQLite

struct DiffTable: Equatable {
  /// What is the same for the same row on both sides.
  enum Key: Equatable {
    /// The rowid, whatever it is called.
    case rowID
    /// INTEGER PRIMARY KEY: a column that is the rowid.
    case alias(String)
    /// The primary key of a table that has rowids too. NULLs in it are never equal to anything.
    case unique([KeyColumn])
    /// The primary key of a table WITHOUT ROWID, in whose order its rows lie.
    case clustered([KeyColumn])
  }

  struct KeyColumn: Equatable {
    var name: String
    var collation: String
  }

  var name: String
  /// In order, without generated ones: those follow from the others.
  var columns: [String]
  var key: Key
  /// How SQL calls the rowid; nil where there is none, or where columns have taken all its names.
  var rowID: String?

  /// What the key's columns are called for people.
  var keyColumns: [String] {
    switch key {
    case .rowID: ["rowid"]
    case .alias(let name): [name]
    case .unique(let columns), .clustered(let columns): columns.map(\.name)
    }
  }

  /// Ordinary tables of a database by name, without those of SQLite and of Komora.
  static func all(in connection: Connection) throws -> [DiffTable] {
    let rows = try connection.query(
      """
      SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow')
      AND name NOT LIKE 'sqlite~_%' ESCAPE '~' AND name NOT LIKE 'komora~_%' ESCAPE '~'
      """)
    return try rows.map { try read(connection, $0[0].text ?? "", isClustered: $0[1] == .integer(1)) }
  }

  /// Nil when there is no table of that name.
  static func named(_ name: String, in connection: Connection) throws -> DiffTable? {
    let rows = try connection.query(
      "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND name = ? AND type = 'table'", .text(name))
    return try rows.first.map { try read(connection, name, isClustered: $0[1] == .integer(1)) }
  }

  private static func read(_ connection: Connection, _ name: String, isClustered: Bool) throws -> DiffTable {
    let info = try connection.query("SELECT name, pk, hidden FROM pragma_table_xinfo(?)", .text(name))
    let taken = Set(info.map { SQLText.folded($0[0].text ?? "") })
    let rowID = isClustered ? nil : ["rowid", "_rowid_", "oid"].first { !taken.contains($0) }
    var table = DiffTable(
      name: name, columns: info.filter { $0[2] == .integer(0) }.compactMap { $0[0].text }, key: .rowID, rowID: rowID)
    let index = try connection.query("SELECT name FROM pragma_index_list(?) WHERE origin = 'pk'", .text(name)).first
    if let index = index?[0].text {
      let columns = try connection.query(
        "SELECT name, coll FROM pragma_index_xinfo(?) WHERE key = 1 ORDER BY seqno", .text(index)
      ).map { KeyColumn(name: $0[0].text ?? "", collation: $0[1].text ?? "BINARY") }
      table.key = isClustered ? .clustered(columns) : .unique(columns)
    } else if let alias = info.first(where: { $0[1] != .integer(0) })?[0].text {
      table.key = .alias(alias)
      table.rowID = alias
    }
    return table
  }
}

/// Names and values as SQL writes them.
package enum SQLText {
  static func quoted(_ name: String) -> String { "\"" + name.replacing("\"", with: "\"\"") + "\"" }

  /// As SQLite compares names: only A to Z are folded.
  package static func folded(_ name: String) -> String {
    String(decoding: name.utf8.map { 65...90 ~= $0 ? $0 + 32 : $0 }, as: UTF8.self)
  }

  package static func literal(_ value: Value) -> String {
    switch value {
    case .null: "NULL"
    case .integer(let number): "\(number)"
    case .real(let number): "\(number)"
    case .text(let text): "'" + text.replacing("'", with: "''") + "'"
    case .blob(let bytes): "x'" + bytes.hex + "'"
    }
  }
}
