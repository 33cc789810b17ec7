// Opening and closing around a shard: its first record, whether it is in use, and how it ends.

import Base
import SQLite
import Threads

extension Shard {
  /// Makes the system's tables in a new account.
  func writeSchema() {
    enqueue(
      .member(
        body: { connection in
          guard try connection.query("SELECT 1 FROM sqlite_master WHERE name = 'komora_meta'").isEmpty else { return }
          try connection.executeScript(RecordingCatalog.schema)
        }, reply: { _ in }))
  }

  var lastUse: UInt64 { state.with { $0.lastUse } }

  /// Nothing of it is on its way into the log, and nobody has the writer.
  var isDrained: Bool {
    state.with { s in
      if let replica = s.replica {
        // A tail that waits for the primary's word is in the segments when the account closes.
        return s.jobs.isEmpty && !s.turnTaken && s.waiting.isEmpty && s.gated.isEmpty && replica.inLog.isEmpty
          && replica.toApply.isEmpty && !replica.isApplying && !replica.isPaused
      }
      return s.jobs.isEmpty && !s.turnTaken && s.waiting.isEmpty && s.inFlight == 0 && s.partial.isEmpty
        && pages.isSettled
    }
  }

  /// Nobody closes it for idleness until as many `release`.
  func hold() { state.with { $0.users += 1 } }
  func release() { state.with { $0.users -= 1 } }

  var isIdle: Bool { state.with { $0.users == 0 } && isDrained }

  var isCheckpointing: Bool { state.with { if case .idle = $0.checkpoint { false } else { true } } }

  /// Takes no more requests. False when somebody has come meanwhile.
  func beginClosing() -> Bool {
    state.with { s in
      guard s.users == 0, s.jobs.isEmpty, !s.turnTaken, s.waiting.isEmpty else { return false }
      s.closing = true
      return true
    }
  }

  /// Lets go of connections and files.
  func shut() {
    pages.close()
    let (writer, readers) = state.with { s in
      s.closing = true
      defer {
        s.writer = nil
        s.idleReaders = []
      }
      return (s.writer, s.idleReaders)
    }
    _ = (writer, readers)
  }

  /// Ends the shard after a failure of one of its files. Requests that wait for the writer hear it; records that are on
  /// their way into the log may still be published, and their replies wait for that.
  func fail(_ error: StoreError) {
    let jobs = state.with { s in
      s.failure = StoreError(error.code, "the account is closed after a failure and opens again on request: \(error)")
      // A mark that is still wanted would give the turn away again and again.
      s.checkpoint = .idle
      s.markWanted = false
      defer { s.jobs = [] }
      return s.jobs
    }
    pages.close()
    refuse(jobs, StoreError(.notApplied, "the write was not applied: \(error)"))
    if configuration.isReplicated { endLead() }
  }

  func refuse(_ jobs: [WriteJob], _ error: StoreError) {
    for job in jobs {
      switch job {
      case .member(_, let reply): reply(.failure(error))
      case .session(_, let grant): grant(error)
      }
    }
  }

  var hasFailed: Bool { state.with { $0.failure != nil } }
  var failureToTell: StoreError { state.with { $0.failure } ?? StoreError(.busy, "the account is busy; try again") }

  func onReader<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await environment.onReader(body)
  }
}
