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
    var freshness = ShardFreshness()
    /// When a fresher word was last asked for.
    var askedAt = Instant(nanoseconds: 0)
  }

  private struct Waiter {
    let number: Int
    let isDone: @Sendable (ShardRoute) -> Bool
    let continuation: CheckedContinuation<ShardRoute, Never>
  }

  private struct State {
    var entries: [AccountID: Entry] = [:]
    /// Replicas here that take no part any more: found out before their record is read, or long after.
    var damaged: Set<AccountID> = []
    var leases: [NodeID: Lease] = [:]
    var waiters: [AccountID: [Waiter]] = [:]
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

  func remove(_ account: AccountID) {
    state.with { _ = $0.damaged.remove(account) }
    change(account) { $0[account] = nil }
  }

  /// This node's replica answers nothing from now on; who waits for it is told so.
  func damage(_ account: AccountID) {
    state.with { state in
      state.damaged.insert(account)
      state.entries[account]?.freshness.hear(nil)
    }
  }

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
    state.with { state in
      if !state.damaged.contains(account) { state.entries[account]?.freshness.hear(freshness) }
    }
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
    let waiters = state.with { state in
      state.isClosed = true
      defer { state.waiters = [:] }
      return state.waiters.values.flatMap { $0 }
    }
    for waiter in waiters { waiter.continuation.resume(returning: .nobody) }
  }

  // MARK: anybody reads

  func route(_ account: AccountID) -> ShardRoute { state.with { route($0.entries[account]) } }

  private func route(_ entry: Entry?) -> ShardRoute {
    guard let entry else { return .nobody }
    if let epoch = entry.serving { return .here(epoch) }
    guard let primary = entry.record.primary, primary != node else { return .nobody }
    return .node(primary)
  }

  /// Whether this node is to have a replica of the account, and nothing is known against it.
  func hasReplica(_ account: AccountID) -> Bool {
    state.with { !$0.damaged.contains(account) && $0.entries[account]?.record.names(node) == true }
  }

  func isDamaged(_ account: AccountID) -> Bool { state.with { $0.damaged.contains(account) } }

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

  /// For readers who see everything up to `published`.
  func freshness(_ account: AccountID, published: LogIndex) -> ReplicaFreshness? {
    state.with { $0.entries[account]?.freshness.word(published: published) }
  }

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

  private func nextNumber() -> Int {
    state.with { state in
      state.nextWaiter += 1
      return state.nextWaiter
    }
  }
}
