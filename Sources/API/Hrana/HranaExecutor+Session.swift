// The stream's own connection: opened when something needs it, given back as soon as nothing does.

import SQLite
import ShardStore

extension HranaExecutor {
  /// What `body` gave or threw, and the state in which it left the connection.
  private struct Left<T: Sendable>: Sendable {
    var outcome: Result<T, any Error>
    var isAutocommit: Bool
    var isNeeded: Bool
  }

  /// `writes` takes the account's writer first. `keeping` leaves the session open whatever its state is, for a
  /// statement that is still being read.
  mutating func runInSession<T: Sendable>(
    writes: Bool, keeping: Bool = false, _ body: @escaping @Sendable (Connection) throws -> T
  ) async throws -> T {
    try checkMayWrite()
    let session = try await openedSession()
    let left: Left<T>
    do {
      let answer = try await bounded {
        try await session.run(writes: writes) { connection in
          let outcome: Result<T, any Error>
          do { outcome = .success(try body(connection)) } catch let error as SQLiteError where error.endsSession {
            // The engine says more about it than SQLite.
            throw error
          } catch { outcome = .failure(error) }
          return Left(
            outcome: outcome, isAutocommit: connection.isAutocommit,
            isNeeded: try keeping || Self.isNeeded(connection))
        }
      }
      if writes { noteWritten() }
      // Its reads are of a pin of its own, taken while this node led; shown only while it still does.
      if let serving, !writes, !serving.holds {
        throw StoreError(.moved, "this node no longer leads the account; the transaction is gone, run it again")
      }
      note(answer.position)
      left = answer.value
    } catch {
      // The transaction is lost, and with it whatever the connection held.
      await closeSession()
      throw error
    }
    stream.isAutocommit = left.isAutocommit
    if !left.isNeeded { await closeSession() }
    return try left.outcome.get()
  }

  mutating func closeSession() async {
    guard let session = stream.session else { return }
    stream.session = nil
    stream.isAutocommit = true
    await session.close()
    registry.releaseSession(stream.account)
  }

  mutating func openedSession() async throws -> Session {
    if let session = stream.session { return session }
    try registry.admitSession(stream.account)
    do {
      let session = try await engine.session(stream.account)
      stream.session = session
      stream.sessionSince = clock.monotonicNanoseconds()
      return session
    } catch {
      registry.releaseSession(stream.account)
      throw error
    }
  }

  /// A transaction, temporary objects, or foreign keys switched off.
  static func isNeeded(_ connection: Connection) throws -> Bool {
    guard connection.isAutocommit else { return true }
    if try !connection.query("SELECT 1 FROM temp.sqlite_master LIMIT 1").isEmpty { return true }
    return try connection.query("PRAGMA main.foreign_keys") == [[.integer(0)]]
  }
}

extension SQLiteError {
  /// The transaction is gone or cannot go on.
  fileprivate var endsSession: Bool { endsTransaction || code == .busy || code == .busySnapshot }
}
