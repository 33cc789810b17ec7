// Moving the content of the embedded store to another one, as the file remembers it.
//
// From the first step on the file refuses changes, so what is copied cannot change behind the copier's back; from the
// last on it refuses to be opened, so nobody writes to what is no longer looked at. The word lies in a table `moved`,
// and the format rises to 3: a version that knows nothing of this refuses the file too.

package import AtRest
import OpenSSL
import SQLite

extension EmbeddedControlStore {
  static let movedFormat: Int64 = 3

  enum MoveState: Int64 {
    case begun = 1
    case complete = 2
  }

  /// Opens a store whose move has begun, which `init` does not; any other as ever. What was moved is `.refused`.
  package static func resumingMove(path: String, kek: any KeyEncryption) throws(ControlStoreError)
    -> EmbeddedControlStore
  {
    try EmbeddedControlStore(path: path, kek: kek, resumesMove: true)
  }

  /// Takes changes again, as long as the move is not complete: for an operator whose target is gone. What was copied
  /// stays there, and a later move to the same place is refused if the content has changed since.
  package func abandonMove() throws(ControlStoreError) {
    try withState { connection, _ throws(ControlStoreError) in
      let moved = try rethrowing { () throws(SQLiteError) in try Self.moveState(connection, path) }
      if let (state, error) = moved, state == .complete { throw error }
      try rethrowing { () throws(SQLiteError) in
        try Self.inTransaction(connection) { () throws(SQLiteError) in
          try connection.execute("DROP TABLE IF EXISTS moved")
          try connection.execute("UPDATE store SET format = ? WHERE id = 1", .integer(Self.formatVersion))
        }
      }
    }
    refuseChanges(nil)
  }

  /// Who this file is, for the target: the same over restarts, of no use to anybody else.
  func moveIdentity() throws(ControlStoreError) -> [UInt8] {
    try withState { connection, root throws(ControlStoreError) in
      HKDF.derive(key: root, salt: [], info: Array("komora control move v1".utf8), count: 16).copy
    }
  }

  /// Durable on return; repeatable.
  func beginMove(to target: String) throws(ControlStoreError) {
    try mark(.begun, target)
  }

  func completeMove(to target: String) throws(ControlStoreError) {
    try mark(.complete, target)
  }

  /// What is to be moved: all but what was put under a lease, which ends with this process.
  func movableEntries() throws(ControlStoreError) -> [ControlEntry] {
    try range(prefix: "", leased: false)
  }

  private func mark(_ next: MoveState, _ target: String) throws(ControlStoreError) {
    try withState { connection, _ throws(ControlStoreError) in
      try rethrowing { () throws(SQLiteError) in
        try Self.inTransaction(connection) { () throws(SQLiteError) in
          try connection.execute(
            "CREATE TABLE IF NOT EXISTS moved (id INTEGER PRIMARY KEY CHECK (id = 1), state INTEGER, target TEXT)")
          try connection.execute(
            "INSERT INTO moved VALUES (1, ?1, ?2) ON CONFLICT (id) DO UPDATE SET state = max(state, ?1), target = ?2",
            .integer(next.rawValue), .text(target))
          try connection.execute("UPDATE store SET format = ? WHERE id = 1", .integer(Self.movedFormat))
        }
      }
    }
    refuseChanges(Self.refusal(next, target, path))
  }

  private static func inTransaction(
    _ connection: Connection, _ body: () throws(SQLiteError) -> Void
  ) throws(SQLiteError) {
    try connection.execute("BEGIN IMMEDIATE")
    do throws(SQLiteError) {
      try body()
      try connection.execute("COMMIT")
    } catch {
      if !connection.isAutocommit { try? connection.execute("ROLLBACK") }
      throw error
    }
  }

  /// The word in the file; nil where none was ever given.
  static func moveState(_ connection: Connection, _ path: String) throws(SQLiteError) -> (MoveState, ControlStoreError)?
  {
    guard try !connection.query("SELECT 1 FROM sqlite_schema WHERE name = 'moved'").isEmpty,
      let row = try connection.query("SELECT state, target FROM moved").first,
      let state = row[0].integer.flatMap(MoveState.init(rawValue:))
    else { return nil }
    return (state, refusal(state, row[1].text ?? "another store", path))
  }

  private static func refusal(_ state: MoveState, _ target: String, _ path: String) -> ControlStoreError {
    switch state {
    case .begun:
      ControlStoreError(
        .refused,
        "the control store \(path) is being moved to \(target) and takes no changes: put `control.engine = \"etcd\"` back "
          + "into this node's configuration and start it, the move goes on where it stopped")
    case .complete:
      ControlStoreError(
        .refused,
        "the control store \(path) was moved to \(target), and its content has gone on there: set `control.engine = "
          + "\"etcd\"` in this node's configuration; the file is only kept as a copy of that moment")
    }
  }
}
