// A client's own connection: transactions that span requests, TEMP objects, pragmas.
//
// It reads from its own pin until its first write; for that it takes the account's writer alone, in turn with everybody
// else, and keeps it until its transaction ends or one of two limits does: how long it may hold the writer, and how long
// it waits for it. What it answers leaves only when what it saw is published.

import Base
package import SQLite
import Threads

package final class Session: @unchecked Sendable {
  // Invariant: `connection` and `hasTurn` are touched by one `run` at a time, which `running` enforces.
  private let shard: Shard
  private let engine: Engine
  private var connection: Connection?
  private var hasTurn = false
  private let running = Lock(false)
  /// When the writer was taken, to end a session that keeps it for too long.
  private let expired = Lock(false)
  private let heldSince = Lock<UInt64?>(nil)

  init(_ shard: Shard, engine: Engine) {
    self.shard = shard
    self.engine = engine
    shard.hold()
  }

  deinit {
    endTransaction()
    connection = nil
    shard.release()
  }

  /// Runs `body` on the session's connection. With `writes` the session has the writer from before `body` until its
  /// transaction ends; `.busy` when it does not get it in time.
  package func run<T: Sendable>(writes: Bool, _ body: @escaping @Sendable (Connection) throws -> T) async throws
    -> Answer<T>
  {
    let free = running.with { r in
      defer { r = true }
      return !r
    }
    guard free else { throw StoreError(.busy, "the session runs another request") }
    defer { running.with { $0 = false } }
    try checkExpired()
    if writes, !hasTurn { try await takeTurn() }
    let outcome = try await shard.onReader { self.runNow(body) }
    let position: Position = try await withCheckedThrowingContinuation { continuation in
      shard.reply(outcome.seen, drops: outcome.drops, hasRecord: outcome.hasRecord) {
        continuation.resume(with: $0.mapError { $0 as any Error })
      }
    }
    return Answer(value: try outcome.result.get(), position: position, replayed: false)
  }

  private struct Outcome<T: Sendable>: Sendable {
    var result: Result<T, any Error>
    /// The index that the caller saw.
    var seen: LogIndex
    /// Drops before the request began.
    var drops: UInt64
    var hasRecord = true
  }

  private func runNow<T: Sendable>(_ body: (Connection) throws -> T) -> Outcome<T> {
    let (drops, before) = (shard.pages.drops, shard.pages.head.index)
    do {
      let connection = try openConnection()
      let store = connection.pageSession as? StoreSession
      store?.readsHead = hasTurn
      if connection.isAutocommit { store?.learnSchema(connection) }
      var result: Result<T, any Error>
      do { result = .success(try body(connection)) } catch {
        result = .failure(store?.takeRefusal() ?? Shard.translated(error))
      }
      if hasTurn { shard.handOver() }
      let hadTurn = hasTurn
      let seen = hadTurn ? shard.pages.head.index : (store?.pinned.index ?? 0)
      if connection.isAutocommit, hasTurn { releaseTurn() }
      // What was read at a published position stays, whatever is dropped.
      return Outcome(
        result: result, seen: seen, drops: hadTurn ? drops : shard.pages.drops,
        hasRecord: hadTurn && seen != before)
    } catch {
      return Outcome(result: .failure(error), seen: 0, drops: shard.pages.drops)
    }
  }

  private func openConnection() throws(StoreError) -> Connection {
    if let connection, (connection.pageSession as? StoreSession)?.isStale == false { return connection }
    if connection != nil {
      connection = nil
      if hasTurn { releaseTurn() }
      throw StoreError(.notApplied, "the account changed hands; the transaction is gone, run it again")
    }
    let new = try shard.openConnection(readOnly: false)
    connection = new
    return new
  }

  private func takeTurn() async throws {
    let shard = shard
    let limit = shard.configuration.sessionLockWait
    let ticket = shard.state.with { s in
      s.tickets += 1
      return s.tickets
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
          shard.enqueue(
            .session(ticket: ticket) { error in
              if let error { continuation.resume(throwing: error) } else { continuation.resume() }
            })
        }
      }
      group.addTask {
        // Withdrawing makes the other task fail, and with it the group.
        if (try? await Task.sleep(for: limit)) != nil { _ = shard.withdraw(ticket) }
      }
      // The first to end is the grant, its failure, or a timer that found the turn granted.
      try await group.next()
      group.cancelAll()
      try await group.waitForAll()
    }
    hasTurn = true
    heldSince.with { $0 = shard.environment.clock.monotonicNanoseconds() }
    shard.state.with { $0.holder = self }
  }

  private func releaseTurn() {
    hasTurn = false
    heldSince.with { $0 = nil }
    shard.state.with { $0.holder = nil }
    (connection?.pageSession as? StoreSession)?.readsHead = false
    shard.endTurn()
  }

  private var heldForTooLong: Bool {
    guard let since = heldSince.with({ $0 }) else { return false }
    return shard.environment.clock.monotonicNanoseconds() > since + shard.configuration.sessionLockHold.nanoseconds
  }

  /// Rolls back a transaction that has held the writer for longer than its limit; from maintenance. The next request of
  /// the session hears it.
  func endIfHeldForTooLong() {
    guard heldForTooLong else { return }
    let free = running.with { r in
      defer { r = true }
      return !r
    }
    guard free else {
      // A statement runs: it ends with an error, and the next round rolls back.
      connection?.interrupt()
      return
    }
    endTransaction()
    expired.with { $0 = true }
    running.with { $0 = false }
  }

  private func checkExpired() throws(StoreError) {
    let isExpired = expired.with { e in
      defer { e = false }
      return e
    }
    if isExpired {
      throw StoreError(.notApplied, "the transaction held the account's writer for too long and was rolled back")
    }
  }

  /// Time for which the session has held the writer; nil when it does not.
  package var holdsWriterSince: UInt64? { heldSince.with { $0 } }

  private func endTransaction() {
    if let connection, !connection.isAutocommit { try? connection.execute("ROLLBACK") }
    if hasTurn {
      shard.abandonGated()
      releaseTurn()
    }
  }

  /// Rolls back what is open and gives everything up; safe to call while nothing runs.
  package func close() async {
    let free = running.with { r in
      defer { r = true }
      return !r
    }
    guard free else { return }
    _ = try? await shard.onReader {
      self.endTransaction()
      self.connection = nil
    }
    running.with { $0 = false }
  }
}
