// A control store whose answers a test loses, delays or refuses, and whose watches it breaks.

import ControlStores
import Synchronization

final class FaultyControlStore: ControlStore {
  enum Fault: Sendable {
    /// Made, but nobody says so.
    case answerLost
    /// Nobody says so, and it is made a little later.
    case late
    case away
  }

  private struct State {
    var inner: (any ControlStore)?
    /// For the changes to come, in order; nil lets one pass.
    var faults: [Fault?] = []
    /// Only changes of this key are meant.
    var faultyKey: String?
    var isAway = false
    /// Transactions of a test's own making.
    var transactions = 0
    /// Calls until it is away; nil is never.
    var callsLeft: Int?
    var watchError: ControlStoreError?
    var watchDelay: Duration?
    /// Watches up to this number say nothing more.
    var silentUpTo = 0
    var watchCount = 0
    var watches: [AsyncThrowingStream<[ControlEvent], any Error>.Continuation] = []
  }
  private let state = Mutex(State())

  func over(_ inner: any ControlStore) -> any ControlStore {
    state.withLock { $0.inner = inner }
    return self
  }

  var inner: any ControlStore { state.withLock { $0.inner! } }

  var transactions: Int { state.withLock { $0.transactions } }

  func next(_ faults: Fault?...) { state.withLock { ($0.faults, $0.faultyKey) = (faults, nil) } }
  func next(_ faults: Fault?..., of key: String) { state.withLock { ($0.faults, $0.faultyKey) = (faults, key) } }
  func setAway(_ isAway: Bool) { state.withLock { $0.isAway = isAway } }
  func setAway(after calls: Int?) { state.withLock { $0.callsLeft = calls } }
  func delayWatches(_ delay: Duration?) { state.withLock { $0.watchDelay = delay } }

  /// Ends the watches that there are, and those to come, until `error` is nil again.
  func breakWatches(_ error: ControlStoreError?) {
    let watches = state.withLock { s in
      s.watchError = error
      defer { if error != nil { s.watches = [] } }
      return s.watches
    }
    if let error { for watch in watches { watch.finish(throwing: error) } }
  }

  /// The watches that there are end no more, and say nothing.
  func silenceWatches() { state.withLock { $0.silentUpTo = $0.watchCount } }

  private func check() throws(ControlStoreError) {
    let isAway = state.withLock { s in
      if let left = s.callsLeft {
        if left <= 0 { return true }
        s.callsLeft = left - 1
      }
      return s.isAway
    }
    if isAway { throw ControlStoreError(.unavailable, "the control store is away") }
  }

  func entry(_ key: String) async throws(ControlStoreError) -> ControlEntry? {
    try check()
    return try await inner.entry(key)
  }

  func entries(prefix: String, limit: Int) async throws(ControlStoreError) -> ControlRange {
    // What the directory looks at on its own time is no step of a test.
    if prefix == "barrier", !state.withLock({ $0.isAway }) {
      return try await inner.entries(prefix: prefix, limit: limit)
    }
    try check()
    return try await inner.entries(prefix: prefix, limit: limit)
  }

  func transact(
    if conditions: [ControlCondition], then changes: [ControlChange], lease: ControlLease?
  ) async throws(ControlStoreError) -> ControlOutcome {
    try check()
    let inner = inner
    let isOwn = lease == nil && !changes.contains { $0.key.hasPrefix("cluster/") }
    let fault = state.withLock { s -> Fault? in
      guard isOwn else { return nil }
      s.transactions += 1
      let isMeant = s.faultyKey.map { key in changes.contains { $0.key == key } } ?? true
      return s.faults.isEmpty || !isMeant ? nil : s.faults.removeFirst()
    }
    let lost = ControlStoreError(.unknown, "the answer is lost")
    switch fault {
    case nil: return try await inner.transact(if: conditions, then: changes, lease: lease)
    case .away: throw ControlStoreError(.unavailable, "the control store is away")
    case .answerLost:
      _ = try await inner.transact(if: conditions, then: changes, lease: lease)
      throw lost
    case .late:
      Task {
        try? await Task.sleep(for: .milliseconds(50))
        _ = try? await inner.transact(if: conditions, then: changes, lease: lease)
      }
      throw lost
    }
  }

  func watch(prefix: String, from revision: ControlRevision) -> AsyncThrowingStream<[ControlEvent], any Error> {
    AsyncThrowingStream { continuation in
      let (error, number) = state.withLock { s in
        s.watchCount += 1
        if s.watchError == nil { s.watches.append(continuation) }
        return (s.watchError, s.watchCount)
      }
      if let error { return continuation.finish(throwing: error) }
      let inner = inner
      let task = Task {
        do {
          for try await events in inner.watch(prefix: prefix, from: revision) {
            if self.state.withLock({ $0.silentUpTo >= number }) { continue }
            if let delay = self.state.withLock({ $0.watchDelay }) { try await Task.sleep(for: delay) }
            continuation.yield(events)
          }
          continuation.finish()
        } catch {
          continuation.finish(throwing: error)
        }
      }
      continuation.onTermination = { _ in task.cancel() }
    }
  }

  func grant(seconds: Int) async throws(ControlStoreError) -> ControlLease {
    try check()
    return try await inner.grant(seconds: seconds)
  }
  func keepAlive(_ lease: ControlLease) async throws(ControlStoreError) {
    try check()
    try await inner.keepAlive(lease)
  }
  func revoke(_ lease: ControlLease) async throws(ControlStoreError) { try await inner.revoke(lease) }
}
