// This node's door to the control store: the view that follows it, and changes that agree with it.
//
// One watch feeds the view, in the store's order. A change is planned on the view, made as a transaction that compares
// the revisions that the plan rests on, and awaited in the view before it is reported: so who was told of a change sees
// it, and a revocation has ended before its call returns. Changes that wait for one another's end share a transaction
// (`ControlBatch`). When another node was faster, the plans are made again on what that one left, for a good while. An
// answer that was lost is looked up before anything is said.
//
// A watch may fall silent without ending, at a server that has lost its quorum or in a network that drops. So now and
// then the view is compared with a read, and a watch that stays behind is begun anew.

import Base
import ControlStores
import Logging
import OpenSSL
import Threads

final class ControlDirectory: Sendable {
  private struct Progress {
    var revision: Int64
    var waiting: [(revision: Int64, number: Int, continuation: CheckedContinuation<Bool, Never>)] = []
    var next = 0
    var isClosed = false
  }

  private struct Queue {
    var waiting: [PendingChange] = []
    /// Somebody makes them.
    var isServed = false
  }

  let store: any ControlStore
  let view: Lock<ControlView>
  private let progress: Lock<Progress>
  private let queue = Lock(Queue())
  private let tasks = Lock<[Task<Void, Never>]>([])
  /// The watch under way.
  private let watching = Lock<Task<Void, any Error>?>(nil)
  private let subscribers = Lock<[@Sendable (ControlEvent) -> Void]>([])
  private let closeStore: @Sendable () async -> Void
  private let logger = Logger(label: "control")

  private static let barrierAttemptsMax = 8
  /// How long a change fights with those of other nodes.
  private static let fightMax = Duration.seconds(15)
  /// A change that was refused so often is made alone: perhaps it is the one that cannot be made.
  private static let refusalsMax = 6
  private static let entriesMax = 1 << 22
  private static let seenWithin = Duration.seconds(5)
  /// How often the view is compared with the store, and how long it may be behind then.
  private static let checkPeriod = Duration.seconds(3)
  private static let behindMax = Duration.seconds(1)

  /// Reads the whole store. `closing` ends the store when the directory is closed.
  static func open(
    _ store: any ControlStore, closing: @escaping @Sendable () async -> Void
  ) async throws(NodeError) -> ControlDirectory {
    let range: ControlRange
    do throws(ControlStoreError) {
      range = try await store.entries(prefix: "", limit: entriesMax)
    } catch {
      throw NodeError(error)
    }
    let directory = ControlDirectory(store, try ControlView(range.entries), range.revision, closing)
    directory.report(damaged: range.damaged)
    let tasks = [Task { await directory.follow() }, Task { await directory.compare() }]
    directory.tasks.with { $0 = tasks }
    return directory
  }

  private init(
    _ store: any ControlStore, _ first: ControlView, _ revision: Int64, _ closing: @escaping @Sendable () async -> Void
  ) {
    self.store = store
    view = Lock(first)
    progress = Lock(Progress(revision: revision))
    closeStore = closing
  }

  func close() async {
    let tasks = tasks.with { tasks in
      defer { tasks = [] }
      return tasks
    }
    for task in tasks { task.cancel() }
    let waiting = progress.with { p in
      p.isClosed = true
      defer { p.waiting = [] }
      return p.waiting
    }
    for waiter in waiting { waiter.continuation.resume(returning: false) }
    await closeStore()
    for task in tasks { await task.value }
  }

  /// `body` hears every event after the view has taken it in; after the watch was broken for long, of keys that may not
  /// have changed too.
  func subscribe(_ body: @escaping @Sendable (ControlEvent) -> Void) { subscribers.with { $0.append(body) } }

  // MARK: changing

  /// Plans, makes and awaits a change; plans again when another node was faster.
  func change<T: Sendable>(
    _ plan: @escaping @Sendable (ControlView) throws(NodeError) -> PlannedChange<T>
  ) async throws(NodeError) -> T {
    let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<T, NodeError>, Never>) in
      let change = PendingChange(until: .now + Self.fightMax, continuation, plan)
      let isFirst = queue.with { queue in
        queue.waiting.append(change)
        defer { queue.isServed = true }
        return !queue.isServed
      }
      if isFirst { Task { await self.serve() } }
    }
    return try result.get()
  }

  /// Until nobody waits.
  private func serve() async {
    while true {
      guard let waiting = next() else { return }
      var batch = ControlBatch(view.with { $0 })
      let isAlone = waiting[0].refusals >= Self.refusalsMax
      for change in isAlone ? waiting.prefix(1) : waiting[...] {
        guard batch.add(change) else { break }
      }
      putBack(waiting.dropFirst(batch.members.count), isFresh: isAlone)
      do throws(NodeError) {
        if try await make(batch) { batch.tell() } else { await again(batch) }
      } catch {
        for change in batch.members { change.refuse(error) }
      }
    }
  }

  /// All that wait; nil, and nobody serves them any more, when there are none.
  private func next() -> [PendingChange]? {
    queue.with { queue in
      queue.isServed = !queue.waiting.isEmpty
      defer { queue.waiting = [] }
      return queue.isServed ? queue.waiting : nil
    }
  }

  /// In front of those that came since. After one that went alone they try together once more.
  private func putBack(_ changes: ArraySlice<PendingChange>, isFresh: Bool = false) {
    queue.with { queue in
      queue.waiting.insert(contentsOf: changes, at: 0)
      guard isFresh else { return }
      for i in queue.waiting.indices {
        queue.waiting[i].refusals = min(queue.waiting[i].refusals, Self.refusalsMax - 1)
      }
    }
  }

  /// False when another node was faster.
  private func make(_ batch: ControlBatch) async throws(NodeError) -> Bool {
    guard !batch.changes.isEmpty else { return true }
    let outcome: ControlOutcome
    do throws(ControlStoreError) {
      outcome = try await store.transact(if: batch.conditions, then: batch.changes, lease: nil)
    } catch {
      guard error.code == .unknown else { throw NodeError(error) }
      outcome = try await lookUp(batch.changes)
    }
    guard outcome.succeeded else {
      // The store may serve others too, whose changes never come here: so not for long.
      let refusals = batch.members.map(\.refusals).max() ?? 0
      _ = await reached(outcome.revision, within: .milliseconds(25 << min(refusals, 5)))
      return false
    }
    guard await reached(outcome.revision, within: Self.seenWithin) else {
      throw NodeError(.unavailable, "the change was made, but this node cannot see it yet: look before trying again")
    }
    return true
  }

  /// After a moment, which is another one on every node.
  private func again(_ batch: ControlBatch) async {
    let now = ContinuousClock.now
    var left: [PendingChange] = []
    for var change in batch.members {
      change.refusals += 1
      if now < change.deadline {
        left.append(change)
      } else {
        change.refuse(
          NodeError(.unavailable, "other nodes change the same thing all the time: try again in a moment"))
      }
    }
    let refusals = left.map(\.refusals).max() ?? 0
    // Whoever is refused alone lets the others go first.
    if left.count == 1 { queue.with { $0.waiting += left } } else { putBack(left[...]) }
    var random = SystemRandom()
    let most = 4 << min(refusals, 5)
    try? await Task.sleep(for: .milliseconds(Int.random(in: 0...most, using: &random)))
  }

  /// Was a transaction made whose answer is lost? It was when what it put is there, and what it deleted is not. A
  /// deletion leaves no revision behind; one that comes after it does as well.
  private func lookUp(_ changes: [ControlChange]) async throws(NodeError) -> ControlOutcome {
    do throws(ControlStoreError) {
      for change in changes {
        let entry = try await store.entry(change.key)
        switch change {
        case .put(_, let value): if entry?.value != value { return ControlOutcome(succeeded: false, revision: 0) }
        case .delete: if entry != nil { return ControlOutcome(succeeded: false, revision: 0) }
        }
      }
      return try await barrier()
    } catch {
      throw NodeError(.unavailable, "the change may have been made: look before trying again (\(error.message))")
    }
  }

  /// Waits until the view has everything that was there when this was called; `.unavailable` when it does not get it.
  func catchUp() async throws(NodeError) {
    let outcome: ControlOutcome
    do throws(ControlStoreError) {
      outcome = try await barrier()
    } catch {
      throw NodeError(error)
    }
    guard await reached(outcome.revision, within: Self.seenWithin) else {
      throw NodeError(.unavailable, "this node does not see the control store's changes at the moment: try again")
    }
  }

  /// A revision behind everything that is there. Made twice, it does no harm.
  private func barrier() async throws(ControlStoreError) -> ControlOutcome {
    var attempt = 1
    while true {
      do throws(ControlStoreError) {
        return try await store.transact(if: [], then: [.put(ControlKeys.barrier, [])], lease: nil)
      } catch {
        guard error.code == .unknown, attempt < Self.barrierAttemptsMax else { throw error }
        attempt += 1
      }
    }
  }

  /// True when the view has come so far; false after a while, and at the end.
  private func reached(_ revision: Int64, within limit: Duration) async -> Bool {
    let number = progress.with { p in
      p.next += 1
      return p.next
    }
    let alarm = Task {
      try? await Task.sleep(for: limit)
      self.giveUp(number)
    }
    defer { alarm.cancel() }
    return await withCheckedContinuation { continuation in
      let now: Bool? = progress.with { p in
        if p.revision >= revision { return true }
        if p.isClosed { return false }
        p.waiting.append((revision, number, continuation))
        return nil
      }
      if let now { continuation.resume(returning: now) }
    }
  }

  private func giveUp(_ number: Int) {
    let waiter = progress.with { p in
      p.waiting.firstIndex { $0.number == number }.map { p.waiting.remove(at: $0) }
    }
    waiter?.continuation.resume(returning: false)
  }

  // MARK: following

  private func follow() async {
    var pause = Duration.milliseconds(20)
    while !Task.isCancelled {
      let from = progress.with { $0.revision } + 1
      let watch = Task { for try await events in store.watch(prefix: "", from: from) { take(events) } }
      watching.with { $0 = watch }
      let result = await withTaskCancellationHandler {
        await watch.result
      } onCancel: {
        watch.cancel()
      }
      if progress.with({ $0.revision }) >= from { pause = .milliseconds(20) }
      if case .failure(let error) = result, !(error is CancellationError) {
        logger.info("control store watch ended", metadata: ["reason": "\(error)"])
        // Forgotten by the store, or told in a way that cannot be followed.
        let unreadable: [ControlStoreError.Code] = [.compacted, .damaged, .io]
        if let code = (error as? ControlStoreError)?.code, unreadable.contains(code) { await reload() }
      }
      try? await Task.sleep(for: pause)
      pause = min(pause * 2, .seconds(1))
    }
  }

  /// Finds a watch that has fallen silent. Others may write to the same etcd, whose revision then says nothing; so what
  /// looks like being behind is proved by a change of our own before the watch is given up.
  private func compare() async {
    while !Task.isCancelled {
      try? await Task.sleep(for: Self.checkPeriod)
      if Task.isCancelled { return }
      do throws(ControlStoreError) {
        let now = try await store.entries(prefix: ControlKeys.barrier, limit: 1).revision
        if await reached(now, within: Self.behindMax) { continue }
        let own = try await barrier().revision
        if await reached(own, within: Self.behindMax) || Task.isCancelled { continue }
        logger.notice("control store watch is silent and begins again")
        watching.with { $0 }?.cancel()
      } catch {
        logger.debug("control store not compared", metadata: ["reason": "\(error.message)"])
      }
    }
  }

  private func take(_ events: [ControlEvent]) {
    view.with { view in for event in events { apply(event, to: &view) } }
    report(damaged: events.compactMap { if case .damaged(let key, _) = $0 { key } else { nil } })
    advance(to: events.map(\.revision).max() ?? 0)
    tell(events)
  }

  /// What they held before, if anything, goes on to count: a value that nobody can read decides nothing.
  private func report(damaged keys: [String]) {
    for key in keys {
      logger.error(
        "a value of the control store was not put there with this cluster's key: delete it",
        metadata: ["key": "\(key)"])
    }
  }

  private func apply(_ event: ControlEvent, to view: inout ControlView) {
    do throws(NodeError) {
      try view.apply(event)
    } catch {
      logger.error("control entry not understood", metadata: ["reason": "\(error.message)"])
    }
  }

  /// The store has forgotten what came in between: everything is read again.
  private func reload() async {
    do throws(ControlStoreError) {
      let range = try await store.entries(prefix: "", limit: Self.entriesMax)
      let present = Set(range.entries.map(\.key)).union(range.damaged)
      report(damaged: range.damaged)
      let gone = view.with { $0.keys }.subtracting(present)
      let events = gone.map { ControlEvent.deleted(key: $0, revision: range.revision) } + range.entries.map { .put($0) }
      // Nobody sees it halfway; and what is not understood leaves the rest as good as it is.
      var fresh = view.with { $0 }
      for event in events { apply(event, to: &fresh) }
      view.with { view in
        (fresh.lastSnapshot, fresh.lastAttempt) = (view.lastSnapshot, view.lastAttempt)
        view = fresh
      }
      advance(to: range.revision)
      tell(events)
    } catch {
      logger.info("control store cannot be read", metadata: ["reason": "\(error.message)"])
    }
  }

  private func tell(_ events: [ControlEvent]) {
    for subscriber in subscribers.with({ $0 }) { for event in events { subscriber(event) } }
  }

  private func advance(to revision: Int64) {
    let done = progress.with { p in
      p.revision = max(p.revision, revision)
      let done = p.waiting.filter { $0.revision <= p.revision }
      p.waiting.removeAll { $0.revision <= p.revision }
      return done
    }
    for waiter in done { waiter.continuation.resume(returning: true) }
  }
}
