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
  private let heldSince = Lock<UInt64?>(nil)

  init(_ shard: Shard, engine: Engine) {
    self.shard = shard
    self.engine = engine
    shard.state.with { $0.users += 1 }
  }

  deinit {
    endTransaction()
    connection = nil
    shard.state.with { $0.users -= 1 }
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
    try checkHold()
    if writes, !hasTurn { try await takeTurn() }
    let outcome = try await shard.onReader { self.runNow(body) }
    let position: Position = try await withCheckedThrowingContinuation { continuation in
      shard.reply(outcome.seen) { continuation.resume(with: $0.mapError { $0 as any Error }) }
    }
    return Answer(value: try outcome.result.get(), position: position, replayed: false)
  }

  private struct Outcome<T: Sendable>: Sendable {
    var result: Result<T, any Error>
    /// The index that the caller saw.
    var seen: LogIndex
  }

  private func runNow<T: Sendable>(_ body: (Connection) throws -> T) -> Outcome<T> {
    do {
      let connection = try openConnection()
      let store = connection.pageSession as? StoreSession
      store?.readsHead = hasTurn
      var result: Result<T, any Error>
      do { result = .success(try body(connection)) } catch {
        result = .failure(store?.takeRefusal() ?? Shard.translated(error))
      }
      if hasTurn { shard.handOver() }
      let seen = hasTurn ? shard.pages.head.index : (store?.pinned.index ?? 0)
      if connection.isAutocommit, hasTurn { releaseTurn() }
      return Outcome(result: result, seen: seen)
    } catch {
      return Outcome(result: .failure(error), seen: 0)
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
    let waited = Lock<(granted: Bool, gaveUp: Bool)>((false, false))
    let shard = shard
    let limit = shard.configuration.sessionLockWait
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
          shard.enqueue(
            .session { error in
              if let error { return continuation.resume(throwing: error) }
              let isLate = waited.with { w in
                w.granted = !w.gaveUp
                return w.gaveUp
              }
              if isLate {
                shard.endTurn()
                continuation.resume(throwing: StoreError(.busy, "the account's writer is busy; try again"))
              } else {
                continuation.resume()
              }
            })
        }
      }
      group.addTask {
        try await Task.sleep(for: limit)
        let tooLate = waited.with { w in
          if !w.granted { w.gaveUp = true }
          return w.granted
        }
        if !tooLate { throw StoreError(.busy, "the account's writer is busy; try again") }
      }
      try await group.next()
      group.cancelAll()
    }
    hasTurn = true
    heldSince.with { $0 = shard.environment.clock.monotonicNanoseconds() }
  }

  private func releaseTurn() {
    hasTurn = false
    heldSince.with { $0 = nil }
    (connection?.pageSession as? StoreSession)?.readsHead = false
    shard.endTurn()
  }

  private func checkHold() throws(StoreError) {
    guard let since = heldSince.with({ $0 }) else { return }
    let held = shard.environment.clock.monotonicNanoseconds() - since
    if held > shard.configuration.sessionLockHold.nanoseconds {
      endTransaction()
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
