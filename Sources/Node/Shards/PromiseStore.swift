// What this node promised about each shard, durable before it is acted on: one SQLite file, written by one thread.
//
// Promises that wait are stored together, so that two thousand adoptions after a node's death cost a few syncs. The
// journal is kept and zeroed, not removed: with a removed one SQLite would answer before its directory is durable. A full
// disk is tried again; after any other failure nothing is stored any more, so this node adopts no further epoch: what a
// failed sync has left behind is not known. It decides nothing and forgets nothing.

import Base
package import Formats
import SQLite
import Threads

package final class PromiseStore: Sendable {
  private struct State {
    /// In the order in which they were asked for.
    var waiting: [OwnershipPromise] = []
    var isClosing = false
    var failure: NodeError?
  }

  private static let applicationID = 0x4B50_524D
  private static let formatVersion = 1
  private static let retryPause = Duration.milliseconds(200)

  /// As they stood in the file when it was opened, by account.
  package let promises: [OwnershipPromise]
  private let state = Lock(State())
  private let writer = Lock<Thread?>(nil)

  /// Opens or makes the file; blocks. `stored` hears of promises when they are durable, in order, on the store's thread.
  package init(path: String, stored: @escaping @Sendable ([OwnershipPromise]) -> Void) throws(NodeError) {
    let connection: Connection
    do throws(SQLiteError) {
      connection = try Self.open(path)
      promises = try Self.read(connection, path)
    } catch {
      throw NodeError(.io, "\(path) holds what this node promised about its accounts and cannot be used: \(error)")
    }
    let state = state
    let thread = Thread(name: "promises") { Self.write(connection, state, stored) }
    writer.with { $0 = thread }
  }

  /// Durable when `stored` hears of it. A later promise for the same account replaces it.
  package func persist(_ promise: OwnershipPromise) {
    state.with { state in
      if !state.isClosing, state.failure == nil { state.waiting.append(promise) }
    }
    state.wakeOne()
  }

  /// Why nothing is stored any more.
  package var failure: NodeError? { state.with { $0.failure } }

  /// Stores what waits, then ends the thread; blocks.
  package func close() {
    state.with { $0.isClosing = true }
    state.wake()
    if let thread = writer.with({ $0.take() }) { thread.join() }
  }

  private static func open(_ path: String) throws(SQLiteError) -> Connection {
    let connection = try Connection(path: path, .create)
    try connection.execute("PRAGMA locking_mode=exclusive")
    try connection.execute("PRAGMA journal_mode=persist")
    try connection.execute("PRAGMA synchronous=full")
    try connection.execute("PRAGMA cell_size_check=on")
    try connection.execute("BEGIN IMMEDIATE")
    try connection.execute("PRAGMA application_id=\(applicationID)")
    try connection.execute(
      "CREATE TABLE IF NOT EXISTS promises (account BLOB PRIMARY KEY, promise BLOB NOT NULL) WITHOUT ROWID")
    try connection.execute("COMMIT")
    if try connection.query("PRAGMA user_version").first?[0].integer == 0 {
      try connection.execute("PRAGMA user_version=\(formatVersion)")
    }
    return connection
  }

  private static func read(_ connection: Connection, _ path: String) throws(SQLiteError) -> [OwnershipPromise] {
    func damaged(_ why: String) -> SQLiteError {
      SQLiteError(.notADatabase, name: "SQLITE_NOTADB", message: why)
    }
    guard try connection.query("PRAGMA user_version").first?[0].integer == Int64(formatVersion) else {
      throw damaged("a newer release wrote it")
    }
    var promises: [OwnershipPromise] = []
    for row in try connection.query("SELECT account, promise FROM promises ORDER BY account") {
      // Each promise carries a check of its own: a file that was changed must not make this node forget one.
      guard let key = row[0].blob, let bytes = row[1].blob, let promise = try? OwnershipPromise(bytes),
        promise.account.bytes == key
      else { throw damaged("a promise in it is damaged") }
      promises.append(promise)
    }
    return promises
  }

  /// The thread's work: takes whatever waits, stores it in one transaction, tells.
  private static func write(
    _ connection: Connection, _ state: Lock<State>, _ stored: @Sendable ([OwnershipPromise]) -> Void
  ) {
    while true {
      let batch = state.wait(until: { !$0.waiting.isEmpty || $0.isClosing }) { state in
        defer { state.waiting = [] }
        return state.waiting
      }
      guard !batch.isEmpty else { break }
      if store(batch, connection, state) { stored(batch) }
    }
    connection.forgetStatements()
  }

  /// False when the store has given up, or is closed before the disk has room.
  private static func store(_ batch: [OwnershipPromise], _ connection: Connection, _ state: Lock<State>) -> Bool {
    while true {
      do throws(SQLiteError) {
        try put(batch, connection)
        return true
      } catch {
        if !connection.isAutocommit { try? connection.execute("ROLLBACK") }
        guard error.code == .full else {
          state.with { $0.failure = NodeError(.io, "promises cannot be stored: \(error)") }
          return false
        }
      }
      if state.wait(for: retryPause, until: { $0.isClosing }, { _ in true }) == true { return false }
    }
  }

  private static func put(_ batch: [OwnershipPromise], _ connection: Connection) throws(SQLiteError) {
    try connection.execute("BEGIN IMMEDIATE")
    for promise in batch {
      try connection.execute(
        "INSERT INTO promises VALUES (?1, ?2) ON CONFLICT (account) DO UPDATE SET promise = ?2",
        .blob(promise.account.bytes), .blob(promise.encode()))
    }
    try connection.execute("COMMIT")
  }
}
