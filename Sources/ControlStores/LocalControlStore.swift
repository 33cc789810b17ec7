// The embedded store behind the port: what a node that stands alone uses where a cluster uses etcd.
//
// One thread of its own makes all transactions, so that watchers hear of them in their order. There is no history: a
// watch begins behind the current revision or is told that the past is forgotten. A lease ends with the process at the
// latest, and what was put under it goes at the next opening.

import Threads

package final class LocalControlStore: ControlStore {
  private struct Watcher {
    let prefix: String
    let buffer: WatchBuffer
  }

  private struct Held {
    var seconds: Int
    var deadline: ContinuousClock.Instant
  }

  private struct State {
    var watchers: [Int: Watcher] = [:]
    var next = 0
    var leases: [Int64: Held] = [:]
    var closed = false
  }

  private let store: EmbeddedControlStore
  private let pool = WorkPool(name: "control", threads: 1)
  private let state = Lock(State())
  private let keeper = Lock<Task<Void, Never>?>(nil)
  private let watchBytesMax: Int

  /// `store` is this one's from here on. Leases are looked at every `period`. A reader of a watch may be
  /// `watchBytesMax` behind.
  package init(
    _ store: EmbeddedControlStore, leasePeriod period: Duration = .milliseconds(100), watchBytesMax: Int = 8 << 20
  ) throws(ControlStoreError) {
    self.store = store
    self.watchBytesMax = watchBytesMax
    try store.dropLeased(nil)
    let task = Task { [weak self] in
      while !Task.isCancelled {
        try? await Task.sleep(for: period)
        await self?.endLeases()
      }
    }
    keeper.with { $0 = task }
  }

  /// Ends watches and leases; blocks for what is under way, and closes the file.
  package func close() {
    keeper.with { $0?.cancel() }
    let watchers = state.with { s in
      s.closed = true
      defer { s.watchers = [:] }
      return Array(s.watchers.values)
    }
    for watcher in watchers {
      watcher.buffer.finish(Self.closed)
    }
    pool.stop()
    store.close()
  }

  package func entry(_ key: String) async throws(ControlStoreError) -> ControlEntry? {
    let store = store
    return try await perform { () throws(ControlStoreError) in try store.get(key) }
  }

  package func entries(prefix: String, limit: Int) async throws(ControlStoreError) -> ControlRange {
    let store = store
    return try await perform { () throws(ControlStoreError) in
      // One thread makes all transactions, so the revision is that of the entries.
      ControlRange(entries: Array(try store.range(prefix: prefix).prefix(limit)), revision: store.revision)
    }
  }

  package func transact(
    if conditions: [ControlCondition], then changes: [ControlChange], lease: ControlLease?
  ) async throws(ControlStoreError) -> ControlOutcome {
    guard Set(changes.map(\.key)).count == changes.count else {
      throw ControlStoreError(.invalid, "a transaction changes a key once")
    }
    return try await perform { [self] () throws(ControlStoreError) in
      if let lease, !state.with({ $0.leases[lease.id] != nil }) {
        throw ControlStoreError(.leaseExpired, "the lease has expired")
      }
      let (outcome, events) = try store.transact(if: conditions, then: changes, lease: lease?.id ?? 0)
      tell(events)
      return outcome
    }
  }

  package func watch(
    prefix: String, from revision: ControlRevision
  ) -> AsyncThrowingStream<[ControlEvent], any Error> {
    WatchBuffer.stream(bytesMax: watchBytesMax) { buffer in
      let id = state.with { s in
        s.next += 1
        return s.next
      }
      let isQueued = pool.run { [self] in begin(Watcher(prefix: prefix, buffer: buffer), id, from: revision) }
      if !isQueued { buffer.finish(Self.closed) }
      return { [weak self] in self?.state.with { $0.watchers[id] = nil } }
    }
  }

  private static let closed = ControlStoreError(.unavailable, "the control store is closed")

  /// On the store's thread.
  private func begin(_ watcher: Watcher, _ id: Int, from revision: ControlRevision) {
    guard revision > store.revision else {
      return watcher.buffer.finish(ControlStoreError(.compacted, "the embedded store keeps no history"))
    }
    let isOpen = state.with { s in
      // A reader that has gone already has ended the buffer before it looked for its watcher.
      if !s.closed, !watcher.buffer.isEnded { s.watchers[id] = watcher }
      return !s.closed
    }
    if !isOpen { watcher.buffer.finish(Self.closed) }
  }

  package func grant(seconds: Int) async throws(ControlStoreError) -> ControlLease {
    guard seconds > 0 else { throw ControlStoreError(.invalid, "a lease lasts at least a second") }
    return state.with { s in
      s.next += 1
      s.leases[Int64(s.next)] = Held(seconds: seconds, deadline: .now + .seconds(seconds))
      return ControlLease(id: Int64(s.next), seconds: seconds)
    }
  }

  package func keepAlive(_ lease: ControlLease) async throws(ControlStoreError) {
    let isHeld = state.with { s in
      guard let held = s.leases[lease.id], held.deadline > .now else { return false }
      s.leases[lease.id]!.deadline = .now + .seconds(held.seconds)
      return true
    }
    if !isHeld { throw ControlStoreError(.leaseExpired, "the lease has expired") }
  }

  package func revoke(_ lease: ControlLease) async throws(ControlStoreError) {
    guard state.with({ $0.leases.removeValue(forKey: lease.id) }) != nil else {
      throw ControlStoreError(.leaseExpired, "the lease has expired")
    }
    do throws(ControlStoreError) {
      try await drop(lease.id)
    } catch {
      putBack(lease.id)
      throw error
    }
  }

  private func endLeases() async {
    let ended = state.with { s in
      let ended = s.leases.filter { $0.value.deadline <= .now }.map(\.key)
      for id in ended { s.leases[id] = nil }
      return ended
    }
    for id in ended {
      do { try await drop(id) } catch { putBack(id) }
    }
  }

  /// The file refuses to drop what belongs to an ended lease: its keys must not outlive it, so it is tried again.
  private func putBack(_ id: Int64) {
    state.with { s in if !s.closed { s.leases[id] = Held(seconds: 0, deadline: .now) } }
  }

  private func drop(_ lease: Int64) async throws(ControlStoreError) {
    try await perform { [self] () throws(ControlStoreError) in tell(try store.dropLeased(lease)) }
  }

  /// On the store's thread.
  private func tell(_ events: [ControlEvent]) {
    guard !events.isEmpty else { return }
    for (id, watcher) in state.with({ $0.watchers }) {
      let wanted = events.filter { $0.key.hasPrefix(watcher.prefix) }
      if !wanted.isEmpty, !watcher.buffer.offer(wanted) { state.with { $0.watchers[id] = nil } }
    }
  }

  private func perform<T: Sendable>(
    _ body: @escaping @Sendable () throws(ControlStoreError) -> T
  ) async throws(ControlStoreError) -> T {
    do {
      return try await pool.perform { try body() }
    } catch let error as ControlStoreError {
      throw error
    } catch {
      throw Self.closed
    }
  }
}
