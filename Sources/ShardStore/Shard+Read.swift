// Reads: on connections of their own, pinned at the last published position, waiting for nobody.

import Base
import SQLite
import Threads

/// Whose state a read shall see.
package enum ReadSource: Sendable {
  /// Everything that was acknowledged before the read began; only the account's primary can say so.
  case primary
  /// What this replica has published, which may be older.
  case replica
}

extension Shard {
  /// Runs `body` on a read connection inside one read transaction. Blocks; belongs on a reader's thread.
  func readNow<T>(
    from source: ReadSource = .primary, confirm: (() -> Bool)? = nil, _ body: (Connection) throws -> T
  ) throws -> (T, Position) {
    if let failure = state.with({ $0.failure }), failure.code != .diskFull { throw failure }
    for attempt in 0..<3 {
      let connection = try borrowReader()
      do {
        connection.startMember()
        try connection.execute("BEGIN")
        // The pin is taken by the first read; the schema is read here, so that the position is known before `body`.
        try connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")
        let position = (connection.pageSession as? StoreSession)?.pinned ?? .start
        // After the pin: what was published when it was taken is all that anybody was told of.
        if source == .primary { try checkServes() }
        if confirm?() == false { throw Self.moved }
        let value = try body(connection)
        if !connection.isAutocommit { try connection.execute("ROLLBACK") }
        give(connection)
        return (value, position)
      } catch {
        if !connection.isAutocommit { try? connection.execute("ROLLBACK") }
        // A drop made the connection stale before it read anything: a new one sees what is there now.
        if attempt < 2, isStale(connection) { continue }
        if !isStale(connection) { give(connection) }
        if state.with({ $0.closing }) { throw StoreError(.closed, "the account is closing; try again") }
        throw Self.translated(error)
      }
    }
    throw StoreError(.busy, "the account is changing hands; try again")
  }

  /// Throws `.moved` unless this node leads the account and holds its leases.
  func checkServes() throws(StoreError) {
    guard configuration.isReplicated else { return }
    guard case .leading(let epoch)? = state.with({ $0.replica?.role }),
      environment.lease.with({ $0.mayServe })?(id, epoch) != false
    else { throw Self.moved }
  }

  private func isStale(_ connection: Connection) -> Bool { (connection.pageSession as? StoreSession)?.isStale ?? true }

  private func borrowReader() throws(StoreError) -> Connection {
    let idle = state.with { s in
      s.lastUse = environment.clock.monotonicNanoseconds()
      return s.idleReaders.popLast()
    }
    if let idle { return idle }
    return try openConnection(readOnly: true)
  }

  private func give(_ connection: Connection) {
    // Decided under the lock and let go outside of it: closing a connection takes the locks of its session.
    let spare = state.with { s -> Connection? in
      guard s.idleReaders.count < 4, !s.closing else { return connection }
      s.idleReaders.append(connection)
      return nil
    }
    _ = spare
  }
}
