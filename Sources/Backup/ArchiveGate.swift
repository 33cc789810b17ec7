// What everybody who writes into one account's archive shares within a process: snapshots and the archiver of the log go
// on at the same time.
//
// It outlives the lists of chunks, which are let go when memory is wanted: keep one for each account.

import Base
import Formats
import Threads

package final class ArchiveGate: Sendable {
  /// Held while the keyring's state is read and put beside the archive, so that no older state replaces a newer one.
  let keyring = Lock<Void>(())
  /// How often a sync of the packs' names failed. Whoever finds it changed cannot rely on a later sync that says "ok".
  let failedNames = Lock(0)
  /// How far the log is archived; nil until somebody has looked.
  let logEnd = Lock<LogEnd?>(nil)
  /// The name of the log's directory is durable.
  let hasLogDirectory = Lock(false)
  /// One round of the log's archiver at a time.
  let archiver = AsyncTurn()
  /// A snapshot is being taken.
  let isTakingSnapshot = Lock(false)
  /// Snapshots, and who removes what no snapshot needs, one at a time: a snapshot shares chunks that nothing refers to
  /// before its manifest is written. Taken before `archiver`.
  let chunks = AsyncTurn()
  /// One round of upkeep at a time; taken before the others.
  let upkeep = AsyncTurn()

  package init() {}

  /// Where the archived log ends.
  struct LogEnd {
    var position: Position
    /// Of the record there; 0 when it is not known.
    var time: UnixMicroseconds
    /// The newest record up to there that carries its epoch's key.
    var key: SealedRecord?
  }
}

/// Lets one task at a time run something that suspends; the others wait in order.
final class AsyncTurn: Sendable {
  private let state = Lock((isTaken: false, waiting: [CheckedContinuation<Void, Never>]()))

  func run<T>(_ body: () async throws -> T) async rethrows -> T {
    await withCheckedContinuation { continuation in
      let isMine = state.with { s in
        guard s.isTaken else {
          s.isTaken = true
          return true
        }
        s.waiting.append(continuation)
        return false
      }
      if isMine { continuation.resume() }
    }
    defer { pass() }
    return try await body()
  }

  private func pass() {
    let next = state.with { s -> CheckedContinuation<Void, Never>? in
      guard !s.waiting.isEmpty else {
        s.isTaken = false
        return nil
      }
      return s.waiting.removeFirst()
    }
    next?.resume()
  }
}
