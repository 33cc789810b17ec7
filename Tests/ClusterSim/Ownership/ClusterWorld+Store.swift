// The control store of a run: what it is asked, how late it answers, what it forgets, and who cannot reach it.

import Base
import Control
import Formats
import Simulator

extension ClusterWorld {
  private func reachesStore(_ number: Int) -> Bool {
    guard let ownership else { return false }
    return ownership.storeCuts[number] == 0 && now >= ownership.storeDownUntil
  }

  private func storeDelay() -> Int64 {
    guard let ownership else { return 0 }
    let base = Int64(500_000 + random.below(3_000_000))
    return now < ownership.storeSlowUntil ? base + Int64(random.below(1_500)) * 1_000_000 : base
  }

  func askStore(_ number: Int, _ request: UInt64, _ ask: StoreAsk) {
    note("\(number) asks the store \(request) \(ask.title)")
    guard reachesStore(number) else {
      totals.note("control store out of reach")
      let delay = random.oneIn(2) ? 1_000_000 : Int64(random.below(1_000)) * 1_000_000
      fail(ask, number, members[number].life, request, isUnknown: random.oneIn(3), after: delay)
      return
    }
    var arrival = now + storeDelay()
    if case .transact(let puts) = ask, isMadeLate(number) {
      // The asker hears that it is unknown; then it is made. Meanwhile a successor that it names hears nothing from it.
      totals.note("transaction made late")
      arrival += Int64(50 + random.below(1500)) * 1_000_000
      fail(ask, number, members[number].life, request, isUnknown: true, after: Int64(random.below(80)) * 1_000_000)
      let named = puts.first.flatMap { try? OwnershipRecord($0.value) }?.primary.flatMap { numbers[$0] }
      if let named, named != number { cut([number], [named], arrival - now) }
    }
    scheduler.put(.owner(.storeArrival(number, life: members[number].life, request, ask)), at: arrival)
  }

  private func isMadeLate(_ number: Int) -> Bool {
    guard let ownership, !ownership.isHealed else { return false }
    return ownership.madeLate.remove(number) != nil || ownership.plan.lateAnswersPermille / 3 > random.below(1000)
  }

  private func fail(
    _ ask: StoreAsk, _ number: Int, _ life: Int, _ request: UInt64, isUnknown: Bool, after delay: Int64
  ) {
    var answer = StoreAnswer.failed(isUnknown: false)
    switch ask {
    case .watch: answer = .watchEnded(isCompacted: false)
    case .transact: answer = .failed(isUnknown: isUnknown)
    case .list, .get: break
    }
    scheduler.put(.owner(.answer(number, life: life, request, answer)), at: now + delay)
  }

  func arriveAtStore(_ number: Int, _ life: Int, _ request: UInt64, _ ask: StoreAsk) {
    guard let ownership else { return }
    guard reachesStore(number) else {
      return fail(ask, number, life, request, isUnknown: true, after: Int64(random.below(1_000)) * 1_000_000)
    }
    var answer: StoreAnswer
    switch ask {
    case .list:
      let entries = ownership.store.entries(prefix: OwnershipRecord.keyPrefix)
      answer = .list(entries.map { ($0.entry.value, $0.entry.revision) }, ownership.store.revision)
    case .get(let key): answer = .entry(ownership.store.entry(key).map { ($0.value, $0.revision) })
    case .transact(let puts):
      let isMade = storeTransact(puts.map { ($0.key, $0.value, $0.revision) })
      answer = .transacted(isMade, ownership.store.revision)
    case .watch(let revision): return beginWatch(number, life, request, revision)
    }
    var delay = storeDelay()
    if ownership.plan.lostAnswersPermille > random.below(1000), !ownership.isHealed {
      totals.note("answer lost")
      answer = .failed(isUnknown: true)
      delay += Int64(random.below(500)) * 1_000_000
      if case .transact = ask {} else { answer = .failed(isUnknown: false) }
    } else if ownership.plan.lateAnswersPermille > random.below(1000), !ownership.isHealed {
      // Often later than anybody waits for it.
      totals.note("answer late")
      delay += Int64(random.below(4_000)) * 1_000_000
    }
    scheduler.put(.owner(.answer(number, life: life, request, answer)), at: now + delay)
  }

  private func beginWatch(_ number: Int, _ life: Int, _ request: UInt64, _ revision: Int64) {
    guard let ownership else { return }
    guard let missed = ownership.store.changes(from: revision) else {
      totals.note("watch compacted")
      let answer = StoreAnswer.watchEnded(isCompacted: true)
      scheduler.put(.owner(.answer(number, life: life, request, answer)), at: now + storeDelay())
      return
    }
    ownership.watchers.removeAll { $0.node == number }
    ownership.watchers.append(OwnershipState.Watcher(node: number, life: life, request: request, last: now))
    for changes in missed { tell(ownership.watchers.count - 1, changes) }
  }

  /// True when it was made; watchers hear of it sooner or later.
  @discardableResult
  func storeTransact(_ puts: [(key: String, value: [UInt8]?, revision: Int64)]) -> Bool {
    guard let ownership, let changes = ownership.store.transact(puts) else { return false }
    for change in changes {
      guard let value = change.value, let record = try? OwnershipRecord(value) else { continue }
      note("STORE r\(change.revision) \(record)")
      guard let shard = ownership.shardNumbers[record.account] else { continue }
      check { () throws(Violation) in try ownership.checkers.decisions.decided(shard, record) }
      if !record.previous.isEmpty, record.primary != nil, !ownership.isHealed, random.oneIn(2) {
        // The old voters may be all that has what was acknowledged.
        let time = Int64(300 + random.below(1500)) * 1_000_000
        scheduler.put(.owner(.coup(shard: shard, time)), at: now + Int64(random.below(20_000_000)))
      }
    }
    for i in ownership.watchers.indices { tell(i, changes) }
    return true
  }

  private func tell(_ i: Int, _ changes: [SimulatedControlStore.Change]) {
    guard let ownership else { return }
    let watcher = ownership.watchers[i]
    var delay = storeDelay()
    if ownership.plan.watchDelay > 0, !ownership.isHealed, random.oneIn(4) {
      totals.note("watch late")
      delay += Int64(random.below(Int(ownership.plan.watchDelay)))
    }
    let at = max(watcher.last + 1, now + delay)
    ownership.watchers[i].last = at
    scheduler.put(.owner(.watchDelivery(watcher.node, life: watcher.life, watcher.request, changes)), at: at)
  }

  func deliverWatch(_ number: Int, _ life: Int, _ request: UInt64, _ changes: [SimulatedControlStore.Change]) {
    guard let ownership else { return }
    guard reachesStore(number) else {
      ownership.watchers.removeAll { $0.node == number && $0.request == request && $0.life == life }
      return fail(.watch(0), number, life, request, isUnknown: false, after: Int64(random.below(2_000)) * 1_000_000)
    }
    scheduler.put(.owner(.answer(number, life: life, request, .changes(changes))), at: now)
  }

  func breakWatches() {
    guard let ownership else { return }
    for watcher in ownership.watchers {
      fail(.watch(0), watcher.node, watcher.life, watcher.request, isUnknown: false, after: storeDelay())
    }
    ownership.watchers = []
  }

  func receive(_ answer: StoreAnswer, to request: UInt64, _ number: Int) {
    switch answer {
    case .list(let values, let revision):
      receiveOwner(number) { $0.listed(request, values, revision: revision, now: $1, on: &$2) }
    case .entry(let value): receiveOwner(number) { $0.got(request, value, now: $1, on: &$2) }
    case .transacted(let succeeded, let revision):
      ownerStep(number, .answer(request, .transacted(succeeded: succeeded, revision: revision)))
    case .changes(let changes):
      let raw = changes.map { ($0.key, $0.value, $0.revision) }
      let revision = changes.first?.revision ?? 0
      receiveOwner(number) { $0.changed(request, raw, revision: revision, now: $1, on: &$2) }
    case .watchEnded(let isCompacted):
      ownerStep(number, .answer(request, .watchEnded(isCompacted: isCompacted)))
    case .failed(let isUnknown): ownerStep(number, .answer(request, .failed(isUnknown: isUnknown)))
    }
  }

  /// What the store has now.
  func truth(_ shard: Int) -> (record: OwnershipRecord, revision: Int64)? {
    guard let ownership else { return nil }
    guard let entry = ownership.store.entry(OwnershipRecord.key(ownership.plan.shards[shard].account)),
      let record = try? OwnershipRecord(entry.value)
    else { return nil }
    return (record, entry.revision)
  }
}

extension StoreAsk {
  var title: String {
    switch self {
    case .list: "list"
    case .get: "get"
    case .transact(let puts):
      puts.map { put in (try? OwnershipRecord(put.value)).map { "put \($0) if r\(put.revision)" } ?? "put" }
        .joined(separator: ", ")
    case .watch(let revision): "watch from \(revision)"
    }
  }
}
