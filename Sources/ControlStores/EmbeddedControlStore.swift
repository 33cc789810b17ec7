// The control store of a single node: one SQLite file, held by one process.
//
// It answers what etcd answers in a cluster: get, range, and a transaction that compares revisions and then changes.
// Keys are readable in the file, so they carry opaque ids only; values are sealed. It journals with a rollback journal
// and full syncs: SQLite 3.40 has a fault in its write-ahead log, and a control store is written a few times a minute.
//
// Every method blocks on the disk and belongs on a thread of ours. A call holds the store's lock for its whole length.

package import AtRest
import Base
import OpenSSL
import SQLite
import Threads

package final class EmbeddedControlStore: Sendable {
  package static let keyBytesMax = 256
  package static let valueBytesMax = 1 << 20
  /// Stands in for an account where the store's own key is wrapped.
  static let wrapID = AccountID(bits: 0)

  private struct State {
    var connection: Connection?
    var sealer: ControlSealer
    var root: SecretBytes
    var revision: Int64
    /// Set from the beginning of a move on.
    var refusal: ControlStoreError?
  }
  private let state: Lock<State>
  package let path: String

  /// Opens the store at `path`, or makes it when there is none. `.refused` when it was moved, or its move has begun.
  package convenience init(path: String, kek: any KeyEncryption) throws(ControlStoreError) {
    try self.init(path: path, kek: kek, resumesMove: false)
  }

  init(path: String, kek: any KeyEncryption, resumesMove: Bool) throws(ControlStoreError) {
    self.path = path
    let (connection, revision, format) = try rethrowing { () throws(SQLiteError) in try Self.prepare(path) }
    let root: SecretBytes
    var refusal: ControlStoreError?
    do throws(ControlStoreError) {
      if format == Self.movedFormat {
        let moved = try rethrowing { () throws(SQLiteError) in try Self.moveState(connection, path) }
        guard let (move, error) = moved else {
          throw ControlStoreError(.damaged, "the control store \(path) says that it was moved, but not where to")
        }
        guard resumesMove, move == .begun else { throw error }
        refusal = error
      }
      root = try Self.rootKey(connection, kek)
    } catch {
      connection.forgetStatements()
      throw error
    }
    state = Lock(
      State(
        connection: connection, sealer: ControlSealer(root: root), root: root, revision: revision, refusal: refusal))
  }

  /// Releases the file. What comes later is refused.
  package func close() {
    state.with { state in
      // Kept statements hold the connection.
      state.connection?.forgetStatements()
      state.connection = nil
    }
  }

  /// The number of transactions so far that changed something.
  package var revision: Int64 { state.with { $0.revision } }

  package func get(_ key: String) throws(ControlStoreError) -> ControlEntry? {
    try state.with { state throws(ControlStoreError) in
      let connection = try open(state)
      let rows = try rethrowing { () throws(SQLiteError) in
        try connection.query("SELECT key, value, revision FROM entries WHERE key = ?", .text(key))
      }
      return try rows.first.map { row throws(ControlStoreError) in try entry(row, state.sealer) }
    }
  }

  /// Entries whose keys begin with `prefix`, in order of their keys.
  package func range(prefix: String) throws(ControlStoreError) -> [ControlEntry] {
    try range(prefix: prefix, leased: true)
  }

  func range(prefix: String, leased: Bool) throws(ControlStoreError) -> [ControlEntry] {
    try state.with { state throws(ControlStoreError) in
      let connection = try open(state)
      let rows = try rethrowing { () throws(SQLiteError) in
        // The largest scalar sorts behind everything that a key may hold.
        try connection.query(
          "SELECT key, value, revision FROM entries WHERE key >= ? AND key < ? AND (lease = 0 OR ?) ORDER BY key",
          .text(prefix), .text(prefix + "\u{10FFFF}"), .integer(leased ? 1 : 0))
      }
      var entries: [ControlEntry] = []
      for row in rows { entries.append(try entry(row, state.sealer)) }
      return entries
    }
  }

  /// Makes all of `changes` when every condition holds, else none. Durable on return.
  package func transaction(
    if conditions: [ControlCondition] = [], then changes: [ControlChange]
  ) throws(ControlStoreError) -> ControlOutcome {
    try transact(if: conditions, then: changes, lease: 0).outcome
  }

  /// As `transaction`, with what came of each change. What is put belongs to `lease`; 0 is none.
  func transact(
    if conditions: [ControlCondition], then changes: [ControlChange], lease: Int64
  ) throws(ControlStoreError) -> (outcome: ControlOutcome, events: [ControlEvent]) {
    for change in changes { try Self.check(change) }
    return try change { connection, revision, sealer throws(SQLiteError) in
      for condition in conditions where try Self.revision(of: condition.key, connection) != condition.revision {
        return nil
      }
      var events: [ControlEvent] = []
      for change in changes {
        if let event = try Self.apply(change, revision, lease: lease, connection, sealer) { events.append(event) }
      }
      return events
    }
  }

  /// Deletes what was put under `lease`, or under any when nil: leases do not outlive the process that granted them.
  @discardableResult
  func dropLeased(_ lease: Int64?) throws(ControlStoreError) -> [ControlEvent] {
    try change { connection, revision, _ throws(SQLiteError) in
      let rows = try connection.query(
        "DELETE FROM entries WHERE lease != 0 AND lease = coalesce(?, lease) RETURNING key",
        lease.map { .integer($0) } ?? .null)
      return rows.compactMap { $0[0].text }.sorted().map { .deleted(key: $0, revision: revision) }
    }.events
  }

  /// One transaction on the file, at the next revision. `body` gives what it changed; nil for a condition that failed.
  /// What changed nothing is no new revision.
  private func change(
    _ body: (Connection, Int64, ControlSealer) throws(SQLiteError) -> [ControlEvent]?
  ) throws(ControlStoreError) -> (outcome: ControlOutcome, events: [ControlEvent]) {
    try state.with { state throws(ControlStoreError) in
      let connection = try open(state)
      if let refusal = state.refusal { throw refusal }
      do throws(SQLiteError) {
        try connection.execute("BEGIN IMMEDIATE")
        let next = state.revision + 1
        let events = try body(connection, next, state.sealer)
        guard let events, !events.isEmpty else {
          try connection.execute("ROLLBACK")
          return (ControlOutcome(succeeded: events != nil, revision: state.revision), [])
        }
        try connection.execute("UPDATE store SET revision = ? WHERE id = 1", .integer(next))
        try connection.execute("COMMIT")
        state.revision = next
        return (ControlOutcome(succeeded: true, revision: next), events)
      } catch {
        if !connection.isAutocommit { try? connection.execute("ROLLBACK") }
        throw ControlStoreError(error)
      }
    }
  }

  /// Wraps the store's root key by `kek` from now on; one durable write, after which the former key opens nothing.
  package func rewrap(to kek: any KeyEncryption) throws(ControlStoreError) {
    try state.with { state throws(ControlStoreError) in
      let wrapped = try Self.wrap(state.root, kek)
      let connection = try open(state)
      try rethrowing { () throws(SQLiteError) in
        try connection.execute("UPDATE store SET wrapped = ? WHERE id = 1", .blob(wrapped))
      }
    }
  }

  func withState<T>(
    _ body: (Connection, SecretBytes) throws(ControlStoreError) -> T
  ) throws(ControlStoreError) -> T {
    try state.with { state throws(ControlStoreError) in try body(try open(state), state.root) }
  }

  func refuseChanges(_ refusal: ControlStoreError?) { state.with { $0.refusal = refusal } }

  private func open(_ state: State) throws(ControlStoreError) -> Connection {
    guard let connection = state.connection else { throw ControlStoreError(.io, "the control store is closed") }
    return connection
  }

  private func entry(_ row: [Value], _ sealer: ControlSealer) throws(ControlStoreError) -> ControlEntry {
    guard let key = row[0].text, let sealed = row[1].blob, let revision = row[2].integer,
      let value = sealer.open(sealed, key: key, revision: revision)
    else {
      throw ControlStoreError(.damaged, "the control store \(path) holds a value that was changed outside Komora")
    }
    return ControlEntry(key: key, value: value, revision: revision)
  }
}
