// The rows that remember an account's in-place restores: which job, and the position right before it.
//
// They lie in the account's own database, in the record of the restore itself: so the restore and what undoes it are there
// together or not at all, every replica has them, and a repeated request finds that it was done. A restore takes the live
// rows along instead of bringing old ones back. The table is made by an account's first restore in place.

package import Base
package import SQLite

package struct ReplacementEntry: Sendable, Equatable {
  /// 16 bytes: the job's id.
  package var id: [UInt8]
  package var at: UnixMicroseconds
  /// The id of the restore that this one undoes.
  package var undoes: [UInt8]?
  /// The last record before the restore: what an undo brings back.
  package var before: Position
  /// What was restored, for people: `snapshot …`, a moment, a position.
  package var what: String

  package init(id: [UInt8], at: UnixMicroseconds, undoes: [UInt8]? = nil, before: Position, what: String) {
    self.id = id
    self.at = at
    self.undoes = undoes
    self.before = before
    self.what = what
  }
}

package enum ReplaceCatalog {
  static let table = "komora_restores"
  static let schema = """
    CREATE TABLE main.komora_restores (
      id BLOB PRIMARY KEY, at_us INTEGER NOT NULL, undoes BLOB, epoch INTEGER NOT NULL, log_index INTEGER NOT NULL,
      checksum BLOB NOT NULL, what TEXT NOT NULL, request TEXT, hash BLOB) WITHOUT ROWID;
    CREATE UNIQUE INDEX main.komora_restores_by_request ON komora_restores (request);
    """
  /// Restores that are remembered; the archive forgets what they put aside long before.
  private static let countMax = 200
  private static let columns = "id, at_us, undoes, epoch, log_index, checksum, what"

  package static func entry(_ connection: Connection, id: [UInt8]) throws -> ReplacementEntry? {
    guard try isThere(connection) else { return nil }
    return try connection.query("SELECT \(columns) FROM main.komora_restores WHERE id = ?", .blob(id)).first.flatMap(
      row)
  }

  /// What the same request did before. `.refused` when its key was used for another one.
  package static func entry(_ connection: Connection, of request: Idempotency) throws -> ReplacementEntry? {
    guard try isThere(connection),
      let found = try connection.query(
        "SELECT \(columns), hash FROM main.komora_restores WHERE request = ?", .text(request.key)
      ).first
    else { return nil }
    guard found[7] == .blob(request.requestHash) else {
      throw StoreError(.refused, "this idempotency key was used for another request; take a new one")
    }
    return row(found)
  }

  static func isThere(_ connection: Connection) throws -> Bool {
    try !connection.query("SELECT 1 FROM main.sqlite_master WHERE name = ?", .text(table)).isEmpty
  }

  static func put(_ connection: Connection, _ entry: ReplacementEntry, _ request: Idempotency?) throws {
    if try !isThere(connection) { try connection.executeScript(schema) }
    try connection.execute(
      "INSERT INTO main.komora_restores VALUES (?,?,?,?,?,?,?,?,?)", .blob(entry.id), .integer(entry.at),
      entry.undoes.map { .blob($0) } ?? .null, .integer(Int64(bitPattern: entry.before.epoch)),
      .integer(Int64(bitPattern: entry.before.index)), .blob(bytes(entry.before.checksum)), .text(entry.what),
      request.map { .text($0.key) } ?? .null, request.map { .blob($0.requestHash) } ?? .null)
    try connection.execute(
      """
      DELETE FROM main.komora_restores WHERE id IN
        (SELECT id FROM main.komora_restores ORDER BY at_us DESC, id LIMIT -1 OFFSET \(countMax))
      """)
  }

  private static func bytes(_ checksum: Checksum) -> [UInt8] {
    (0..<16).map { UInt8(truncatingIfNeeded: checksum.bits >> UInt128(8 * (15 - $0))) }
  }

  private static func row(_ values: [Value]) -> ReplacementEntry? {
    guard case .blob(let id) = values[0], case .integer(let at) = values[1], case .integer(let epoch) = values[3],
      case .integer(let index) = values[4], case .blob(let checksum) = values[5], checksum.count == 16,
      case .text(let what) = values[6]
    else { return nil }
    let bits = checksum.reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
    return ReplacementEntry(
      id: id, at: at, undoes: values[2].blob,
      before: Position(
        epoch: Epoch(bitPattern: epoch), index: LogIndex(bitPattern: index), checksum: Checksum(bits: bits)),
      what: what)
  }
}
