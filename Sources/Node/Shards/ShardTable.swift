// What this node knows about every shard, for whoever asks from any thread: who leads it, whether this node may serve it
// at this very moment, how fresh a standby is.
//
// The loop writes it as the machines step, a request reads it without waiting for the loop. A lease is a fact of a pair of
// nodes, so one write prolongs it for thousands of shards; what a shard's leases come to is worked out when somebody asks,
// and remembered until it ends. A granter that was heard of in another life does not count until it granted anew.

import Base
import Formats
import Replication
import Threads

final class ShardTable: Sendable {
  struct Granter {
    var node: NodeID
    var life: UInt64
  }

  struct Lease {
    var until: Instant
    var life: UInt64
  }

  private struct Entry {
    var record: OwnershipRecord
    var serving: Epoch?
    var granters: [Granter] = []
    /// No lease that was counted so far ends before.
    var servesUntil = Instant(nanoseconds: .min)
    var freshness: ReplicaFreshness?
    /// When a fresher word was last asked for.
    var askedAt = Instant(nanoseconds: 0)
  }

  private struct Waiter {
    let number: Int
    let isDone: @Sendable (ShardRoute) -> Bool
    let continuation: CheckedContinuation<ShardRoute, Never>
  }

  private struct FreshnessWaiter {
    let number: Int
    let asOf: Instant
    let continuation: CheckedContinuation<ReplicaFreshness?, Never>
  }

  private struct State {
    var entries: [AccountID: Entry] = [:]
    var leases: [NodeID: Lease] = [:]
    var waiters: [AccountID: [Waiter]] = [:]
    var freshnessWaiters: [AccountID: [FreshnessWaiter]] = [:]
    var nextWaiter = 0
    var isClosed = false
  }

  let node: NodeID
  private let state = Lock(State())

  init(node: NodeID) { self.node = node }

  // MARK: the loop writes

  func configure(_ record: OwnershipRecord) {
    change(record.account) { entries in
      if entries[record.account] == nil { entries[record.account] = Entry(record: record) }
      entries[record.account]!.record = record
    }
  }

  func remove(_ account: AccountID) { change(account) { $0[account] = nil } }

  func serve(_ account: AccountID, _ epoch: Epoch?, _ granters: [Granter] = []) {
    change(account) { entries in
      entries[account]?.serving = epoch
      entries[account]?.granters = granters
      entries[account]?.servesUntil = Instant(nanoseconds: .min)
    }
  }

  func grant(_ account: AccountID, _ granters: [Granter]) {
    state.with { state in
      guard state.entries[account]?.serving != nil else { return }
      state.entries[account]!.granters = granters
      state.entries[account]!.servesUntil = Instant(nanoseconds: .min)
    }
  }

  func lease(_ node: NodeID, _ lease: Lease) { state.with { $0.leases[node] = lease } }

  func refresh(_ account: AccountID, _ freshness: ReplicaFreshness?) {
    let done = state.with { state -> [FreshnessWaiter] in
      state.entries[account]?.freshness = freshness
      guard let asOf = freshness?.asOf, let waiters = state.freshnessWaiters[account] else { return [] }
      let done = waiters.filter { $0.asOf <= asOf }
      let left = waiters.filter { $0.asOf > asOf }
      state.freshnessWaiters[account] = left.isEmpty ? nil : left
      return done
    }
    for waiter in done { waiter.continuation.resume(returning: freshness) }
  }

  private func change(_ account: AccountID, _ body: (inout [AccountID: Entry]) -> Void) {
    let (route, done) = state.with { state -> (ShardRoute, [Waiter]) in
      body(&state.entries)
      let route = self.route(state.entries[account])
      guard let waiters = state.waiters[account] else { return (route, []) }
      let left = waiters.filter { !$0.isDone(route) }
      state.waiters[account] = left.isEmpty ? nil : left
      return (route, waiters.filter { $0.isDone(route) })
    }
    for waiter in done { waiter.continuation.resume(returning: route) }
  }

  /// Everybody who waits is told what is known now.
  func close() {
    let (waiters, readers) = state.with { state in
      state.isClosed = true
      defer { (state.waiters, state.freshnessWaiters) = ([:], [:]) }
      return (state.waiters.values.flatMap { $0 }, state.freshnessWaiters.values.flatMap { $0 })
    }
    for waiter in waiters { waiter.continuation.resume(returning: .nobody) }
    for reader in readers { reader.continuation.resume(returning: nil) }
  }

  // MARK: anybody reads

  func route(_ account: AccountID) -> ShardRoute { state.with { route($0.entries[account]) } }

  private func route(_ entry: Entry?) -> ShardRoute {
    guard let entry else { return .nobody }
    if let epoch = entry.serving { return .here(epoch) }
    guard let primary = entry.record.primary, primary != node else { return .nobody }
    return .node(primary)
  }

  func record(_ account: AccountID) -> OwnershipRecord? { state.with { $0.entries[account]?.record } }

  func records() -> [OwnershipRecord] { state.with { $0.entries.values.map(\.record) } }

  /// At most now and then for each account.
  func mayAskFreshness(_ account: AccountID, at now: Instant) -> Bool {
    state.with { state in
      guard let entry = state.entries[account], now - entry.askedAt >= .milliseconds(20) else { return false }
      state.entries[account]!.askedAt = now
      return true
    }
  }

  func freshness(_ account: AccountID) -> ReplicaFreshness? { state.with { $0.entries[account]?.freshness } }

  /// May what was pinned under `epoch` be shown at `now`, which was read after the pin?
  func mayServe(_ account: AccountID, _ epoch: Epoch, at now: Instant) -> Bool {
    state.with { state in
      guard let entry = state.entries[account], entry.serving == epoch else { return false }
      if now < entry.servesUntil { return true }
      guard let until = leaseEnd(entry, state.leases, now) else { return false }
      state.entries[account]!.servesUntil = until
      return true
    }
  }

  /// The greatest moment until which a write set of leases lasts; nil when there is none now.
  private func leaseEnd(_ entry: Entry, _ leases: [NodeID: Lease], _ now: Instant) -> Instant? {
    var running: [(node: NodeID, until: Instant)] = []
    for granter in entry.granters {
      if granter.node == node {
        running.append((node, Instant(nanoseconds: .max)))
      } else if let lease = leases[granter.node], lease.life == granter.life, lease.until > now {
        running.append((granter.node, lease.until))
      }
    }
    running.sort { $0.until > $1.until }
    var nodes: Set<NodeID> = []
    for lease in running {
      nodes.insert(lease.node)
      if entry.record.isWriteSet(nodes) { return lease.until }
    }
    return nil
  }

  // MARK: waiting

  /// The route once `isDone` says so of it; at the deadline, or when the caller is cancelled, what it is then.
  func wait(
    _ account: AccountID, until deadline: ContinuousClock.Instant, isDone: @escaping @Sendable (ShardRoute) -> Bool
  ) async -> ShardRoute {
    let number = nextNumber()
    let alarm = Task {
      try? await Task.sleep(until: deadline, clock: .continuous)
      self.giveUp(account, number)
    }
    defer { alarm.cancel() }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let now: ShardRoute? = state.with { state in
          let route = self.route(state.entries[account])
          if isDone(route) || state.isClosed || Task.isCancelled { return route }
          state.waiters[account, default: []].append(
            Waiter(number: number, isDone: isDone, continuation: continuation))
          return nil
        }
        if let now { continuation.resume(returning: now) }
      }
    } onCancel: {
      giveUp(account, number)
    }
  }

  private func giveUp(_ account: AccountID, _ number: Int) {
    let (waiter, route) = state.with { state -> (Waiter?, ShardRoute) in
      let route = self.route(state.entries[account])
      guard let i = state.waiters[account]?.firstIndex(where: { $0.number == number }) else { return (nil, route) }
      let waiter = state.waiters[account]!.remove(at: i)
      if state.waiters[account]!.isEmpty { state.waiters[account] = nil }
      return (waiter, route)
    }
    waiter?.continuation.resume(returning: route)
  }

  /// What a standby may show, when it is as of `asOf` or later; at the deadline nil.
  func waitForFreshness(
    _ account: AccountID, asOf: Instant, until deadline: ContinuousClock.Instant
  ) async -> ReplicaFreshness? {
    let number = nextNumber()
    let alarm = Task {
      try? await Task.sleep(until: deadline, clock: .continuous)
      self.giveUpFreshness(account, number)
    }
    defer { alarm.cancel() }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let now: ReplicaFreshness?? = state.with { state in
          if let freshness = state.entries[account]?.freshness, freshness.asOf >= asOf { return .some(freshness) }
          if state.isClosed || Task.isCancelled { return .some(nil) }
          state.freshnessWaiters[account, default: []].append(
            FreshnessWaiter(number: number, asOf: asOf, continuation: continuation))
          return nil
        }
        if let now { continuation.resume(returning: now) }
      }
    } onCancel: {
      giveUpFreshness(account, number)
    }
  }

  private func giveUpFreshness(_ account: AccountID, _ number: Int) {
    let waiter = state.with { state -> FreshnessWaiter? in
      guard let i = state.freshnessWaiters[account]?.firstIndex(where: { $0.number == number }) else { return nil }
      let waiter = state.freshnessWaiters[account]!.remove(at: i)
      if state.freshnessWaiters[account]!.isEmpty { state.freshnessWaiters[account] = nil }
      return waiter
    }
    waiter?.continuation.resume(returning: nil)
  }

  private func nextNumber() -> Int {
    state.with { state in
      state.nextWaiter += 1
      return state.nextWaiter
    }
  }
}
