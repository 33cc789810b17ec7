// What one simulated transaction does: to the database as SQL, to the model as a rule. Both follow from the change and
// its serial alone, so a journal of serials says everything about the state that must be there.

import Base
import SQLite
import ShardStore

enum Change: Sendable {
  /// Rows `keys` with texts of `length` digits.
  case put(keys: [Int], length: Int)
  case increment(ClosedRange<Int>)
  case remove(ClosedRange<Int>)
  /// So many rows of 900 digits that the transaction needs several records.
  case large(rows: Int)
  /// Makes table `number`, or drops it when it is there.
  case table(number: Int)
  case recording(key: String, StoredRecording, SimulatedRecording)
  case removeRecording(key: String)
  /// Changes something, then fails: none of it may ever be seen.
  case failing(Failure)

  enum Failure: Sendable, CaseIterable { case unique, foreignKey, orRollback, rollback, thrown }

  struct Thrown: Error {}

  /// For traces.
  var label: String {
    switch self {
    case .put(let keys, let length): "put \(keys.count) rows of \(length)"
    case .increment(let keys): "increment \(keys)"
    case .remove(let keys): "remove \(keys)"
    case .large(let rows): "put \(rows) large rows"
    case .table(let number): "table \(number)"
    case .recording(let key, _, let recording): "recording \(recording.id) as \(key)"
    case .removeRecording(let key): "remove \(key)"
    case .failing(let failure): "fail by \(failure)"
    }
  }

  static let schema = """
    CREATE TABLE journal (seq INTEGER PRIMARY KEY, serial INTEGER NOT NULL);
    CREATE TABLE kv (k INTEGER PRIMARY KEY, n INTEGER NOT NULL, v TEXT NOT NULL);
    CREATE INDEX kv_n ON kv (n);
    CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE taken (x TEXT UNIQUE);
    INSERT INTO taken VALUES ('yes');
    """

  /// Runs the change; the first one of an account makes the tables.
  func run(_ connection: Connection, serial: Int) throws {
    if try connection.query("SELECT 1 FROM sqlite_master WHERE name = 'journal'").isEmpty {
      try connection.executeScript(Self.schema)
    }
    let n = Value.integer(Int64(serial))
    try connection.execute("INSERT INTO journal (serial) VALUES (?)", n)
    switch self {
    case .put(let keys, let length):
      for key in keys {
        try connection.execute(
          "INSERT OR REPLACE INTO kv VALUES (?1, ?2, printf('%0*d', ?3, ?2 + ?1))", .integer(Int64(key)), n,
          .integer(Int64(length)))
      }
    case .increment(let keys):
      try connection.execute(
        "UPDATE kv SET n = n + 1 WHERE k BETWEEN ? AND ?", .integer(Int64(keys.lowerBound)),
        .integer(Int64(keys.upperBound)))
    case .remove(let keys):
      try connection.execute(
        "DELETE FROM kv WHERE k BETWEEN ? AND ?", .integer(Int64(keys.lowerBound)), .integer(Int64(keys.upperBound)))
    case .large(let rows):
      try connection.execute(
        """
        INSERT OR REPLACE INTO kv SELECT 1000 + i, ?1, printf('%0900d', ?1 + i + 1000) FROM
        (WITH RECURSIVE c (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i + 1 < ?2) SELECT i FROM c)
        """, n, .integer(Int64(rows)))
    case .table(let number):
      let name = "extra\(number)"
      if try connection.query("SELECT 1 FROM sqlite_master WHERE name = ?", .text(name)).isEmpty {
        try connection.execute("CREATE TABLE \(name) (a INTEGER PRIMARY KEY)")
        try connection.execute("INSERT INTO \(name) VALUES (?)", n)
      } else {
        try connection.execute("DROP TABLE \(name)")
      }
    case .recording(let key, let stored, _):
      try RecordingCatalog.put(
        connection, key: key, stored, contentType: "audio/wav", metadata: "{}", at: Int64(serial))
    case .removeRecording(let key): _ = try RecordingCatalog.delete(connection, key: key, at: Int64(serial))
    case .failing(let failure): try Self.fail(failure, connection, n)
    }
  }

  private static func fail(_ failure: Failure, _ connection: Connection, _ n: Value) throws {
    try connection.execute("INSERT OR REPLACE INTO kv VALUES (7, ?, 'must not be seen')", n)
    switch failure {
    case .unique: try connection.execute("INSERT INTO taken VALUES ('yes')")
    case .foreignKey: try connection.execute("INSERT INTO child (p) VALUES (-1)")
    case .orRollback: try connection.execute("INSERT OR ROLLBACK INTO taken VALUES ('yes')")
    case .rollback: try connection.execute("ROLLBACK")
    case .thrown: throw Thrown()
    }
  }
}
