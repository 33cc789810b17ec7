// The file of the embedded control store: its tables, its settings, its wrapped root key.
//
// Table `store` has one row: format version, revision of the store, root key wrapped by the key-encryption key. Table
// `entries` has one row a key: value sealed by `ControlSealer`, the revision of its last put, and its lease or 0.

import AtRest
import Base
import OpenSSL
import SQLite

extension EmbeddedControlStore {
  static let formatVersion: Int64 = 2
  /// "KCTL": says in the file's header whose it is.
  static let applicationID = 0x4B43_544C

  /// Opens or makes the file; gives it with the store's revision and format.
  static func prepare(_ path: String) throws(SQLiteError) -> (Connection, Int64, format: Int64) {
    let connection = try Connection(path: path, .create)
    // Exclusive: a second process is refused at its first statement instead of mixing its own cache in.
    try connection.execute("PRAGMA locking_mode=exclusive")
    try connection.execute("PRAGMA journal_mode=delete")
    try connection.execute("PRAGMA synchronous=full")
    try connection.execute("PRAGMA cell_size_check=on")
    try connection.execute("BEGIN IMMEDIATE")
    try connection.execute("PRAGMA application_id=\(applicationID)")
    try connection.execute(
      """
      CREATE TABLE IF NOT EXISTS store (
        id INTEGER PRIMARY KEY CHECK (id = 1), format INTEGER NOT NULL, revision INTEGER NOT NULL, wrapped BLOB)
      """)
    try connection.execute(
      """
      CREATE TABLE IF NOT EXISTS entries (
        key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL, lease INTEGER NOT NULL DEFAULT 0)
      """)
    try connection.execute("INSERT OR IGNORE INTO store VALUES (1, ?, 0, NULL)", .integer(formatVersion))
    try connection.execute("COMMIT")
    let row = try connection.query("SELECT format, revision FROM store").first ?? []
    guard row.count == 2, let format = row[0].integer, format == formatVersion || format == movedFormat,
      let revision = row[1].integer
    else {
      throw SQLiteError(
        .notADatabase, name: "SQLITE_NOTADB", message: "it has a format that this version does not know")
    }
    return (connection, revision, format)
  }

  /// The root key of the store; drawn and wrapped when the store is new, and only then.
  static func rootKey(_ connection: Connection, _ kek: any KeyEncryption) throws(ControlStoreError) -> SecretBytes {
    let row = try rethrowing { () throws(SQLiteError) in
      try connection.query("SELECT wrapped, revision FROM store").first ?? []
    }
    if let wrapped = row.first?.blob {
      do {
        return try kek.unwrap(wrapped, for: wrapID)
      } catch {
        throw ControlStoreError(
          .wrongKey, "the control store was sealed under another key-encryption key than the one configured: \(error)")
      }
    }
    guard row.count == 2, row[1].integer == 0 else {
      throw ControlStoreError(.damaged, "the control store has entries but no key of its own")
    }
    let root = SecretBytes.random(32)
    let wrapped = try wrap(root, kek)
    try rethrowing { () throws(SQLiteError) in
      try connection.execute("UPDATE store SET wrapped = ? WHERE id = 1", .blob(wrapped))
    }
    return root
  }

  static func wrap(_ root: SecretBytes, _ kek: any KeyEncryption) throws(ControlStoreError) -> [UInt8] {
    do {
      return try kek.wrap(root, for: wrapID)
    } catch {
      throw ControlStoreError(.io, "the key of the control store could not be wrapped: \(error)")
    }
  }

  static func revision(of key: String, _ connection: Connection) throws(SQLiteError) -> Int64 {
    try connection.query("SELECT revision FROM entries WHERE key = ?", .text(key)).first?[0].integer ?? 0
  }

  /// What `change` comes to; nil when it deletes what is not there.
  static func apply(
    _ change: ControlChange, _ revision: Int64, lease: Int64, _ connection: Connection, _ sealer: ControlSealer
  ) throws(SQLiteError) -> ControlEvent? {
    switch change {
    case .put(let key, let value):
      let sealed = sealer.seal(value, key: key, revision: revision)
      try connection.execute(
        """
        INSERT INTO entries VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (key) DO UPDATE SET value = ?2, revision = ?3, lease = ?4
        """, .text(key), .blob(sealed), .integer(revision), .integer(lease))
      return .put(ControlEntry(key: key, value: value, revision: revision))
    case .delete(let key):
      try connection.execute("DELETE FROM entries WHERE key = ?", .text(key))
      return connection.changes > 0 ? .deleted(key: key, revision: revision) : nil
    }
  }

  static func check(_ change: ControlChange) throws(ControlStoreError) {
    guard case .put(let key, let value) = change else { return }
    let plain = key.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    guard !key.isEmpty, plain, key.utf8.count <= keyBytesMax, value.count <= valueBytesMax else {
      throw ControlStoreError(.invalid, "a control key has 1 to \(keyBytesMax) visible ASCII bytes, a value 1 MiB")
    }
  }
}

extension ControlStoreError {
  init(_ error: SQLiteError) {
    switch error.code {
    case .busy, .locked: self.init(.busy, "the control store is in use by another process")
    case .corrupt, .notADatabase: self.init(.damaged, "the control store is damaged: \(error.message)")
    default: self.init(.io, "the control store failed: \(error.message)")
    }
  }
}

/// Runs `body` and speaks of its failure as the store's.
func rethrowing<T>(_ body: () throws(SQLiteError) -> T) throws(ControlStoreError) -> T {
  do {
    return try body()
  } catch {
    throw ControlStoreError(error)
  }
}
