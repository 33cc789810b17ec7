// Talks with the control store: everything is read once, then watched; changes are compare-and-sets against the revision
// that was read, many shards in one transaction.
//
// What comes late is old: only a record of a greater revision is believed. An answer that is lost, or takes too long,
// says nothing: the record is read before anything else is tried. A transaction that is refused is split.

import Base
import Formats

extension OwnershipMachine {
  mutating func readAll(_ now: Instant) {
    store.phase = .listing
    ask(.list, .list, now)
  }

  private mutating func watch(from revision: Int64) {
    let number = store.nextNumber()
    store.phase = .watching(number)
    store.next = revision
    effects.append(.request(number, .watch(from: revision)))
  }

  @discardableResult
  private mutating func ask(_ request: OwnershipRequest, _ kind: OwnershipStoreSession.Kind, _ now: Instant) -> UInt64 {
    let number = store.nextNumber()
    let deadline = now + configuration.requestTimeout
    store.pending.append(OwnershipStoreSession.Pending(number: number, kind: kind, deadline: deadline))
    effects.append(.request(number, request))
    wakeBy(deadline)
    return number
  }

  /// The record of one shard may be newer than what is known.
  mutating func readAgain(_ i: Int, _ now: Instant) {
    guard shards[i].request == nil, now >= shards[i].retryAt else { return }
    shards[i].request = ask(.get(shards[i].account), .get(i), now)
  }

  /// Notes a compare-and-set; false when the store is out of reach, or another request about the shard is on its way.
  @discardableResult
  mutating func propose(_ i: Int, _ record: OwnershipRecord, _ now: Instant) -> Bool {
    guard store.isReady, shards[i].request == nil, now >= shards[i].retryAt else { return false }
    // Reserved until the step ends, where it gets its number.
    shards[i].request = 0
    proposals.append(OwnershipEntry(record: record, revision: shards[i].revision))
    return true
  }

  mutating func flushProposals(_ now: Instant) {
    while !proposals.isEmpty {
      let batch = Array(proposals.prefix(configuration.proposalsPerTransaction))
      proposals.removeFirst(batch.count)
      transact(batch, now)
    }
  }

  private mutating func transact(_ batch: [OwnershipEntry], _ now: Instant) {
    let number = ask(.transact(batch), .transact(batch), now)
    for entry in batch { shards[place(of: entry.record.account)].request = number }
  }

  mutating func expireRequests(_ now: Instant) {
    while let late = store.pending.first(where: { $0.deadline <= now }) {
      _ = store.take(late.number)
      failed(late, isUnknown: true, now)
    }
    if let deadline = store.pending.map(\.deadline).min() { wakeBy(deadline) }
    if case .waiting(let until, let from) = store.phase {
      guard now >= until else { return wakeBy(until) }
      if let from { watch(from: from) } else { readAll(now) }
    }
  }

  mutating func receive(_ answer: OwnershipAnswer, to number: UInt64, _ now: Instant) {
    if store.phase == .watching(number) { return watched(answer, now) }
    guard let pending = store.take(number) else {
      counters.lateAnswerDrops += 1
      return
    }
    switch (pending.kind, answer) {
    case (.list, .list(let entries, let revision)):
      for entry in entries { learn(entry, now) }
      let known = Set(entries.map(\.record.account))
      for i in shards.indices where !known.contains(shards[i].account) && shards[i].revision <= revision {
        remove(i, now)
      }
      watch(from: revision + 1)
      for i in shards.indices { advance(i, now) }
    case (.get(let i), .entry(let entry)):
      shards[i].request = nil
      if let entry { learn(entry, now) }
      advance(i, now)
    case (.transact(let batch), .transacted(let succeeded, let revision)):
      transacted(batch, succeeded, revision, now)
    case (_, .failed(let isUnknown)): failed(pending, isUnknown: isUnknown, now)
    default: failed(pending, isUnknown: true, now)
    }
  }

  private mutating func watched(_ answer: OwnershipAnswer, _ now: Instant) {
    switch answer {
    case .changes(let entries, let removed, let revision):
      for entry in entries { learn(entry, isWatched: true, now) }
      for account in removed {
        guard let i = shardPlaces[account], shards[i].revision < revision else { continue }
        remove(i, now)
      }
      store.next = max(store.next, revision + 1)
    case .watchEnded(let isCompacted):
      counters.lostWatches += 1
      if isCompacted {
        readAll(now)
      } else {
        store.phase = .waiting(until: now + configuration.storeRetry, from: store.next)
      }
    default: store.phase = .waiting(until: now + configuration.storeRetry, from: store.next)
    }
  }

  private mutating func transacted(_ batch: [OwnershipEntry], _ succeeded: Bool, _ revision: Int64, _ now: Instant) {
    for entry in batch { shards[place(of: entry.record.account)].request = nil }
    if succeeded {
      for entry in batch { learn(OwnershipEntry(record: entry.record, revision: revision), now) }
      return
    }
    counters.refusedCompares += 1
    if batch.count > 1 {
      transact(Array(batch[..<(batch.count / 2)]), now)
      transact(Array(batch[(batch.count / 2)...]), now)
    } else {
      for entry in batch { readAgain(place(of: entry.record.account), now) }
    }
  }

  private mutating func failed(_ pending: OwnershipStoreSession.Pending, isUnknown: Bool, _ now: Instant) {
    switch pending.kind {
    case .list: store.phase = .waiting(until: now + configuration.storeRetry, from: nil)
    case .get(let i):
      shards[i].request = nil
      shards[i].retryAt = now + configuration.storeRetry
    case .transact(let batch):
      if isUnknown { counters.unknownOutcomes += 1 }
      for entry in batch {
        let i = place(of: entry.record.account)
        shards[i].request = nil
        if !isUnknown || configuration.plantedBugs.contains(.resumeAfterUnknown) { resume(i, entry.record) }
        if isUnknown { readAgain(i, now) } else { shards[i].retryAt = now + configuration.storeRetry }
      }
    }
  }

  /// A hand-over, or a change of voters, that certainly was not made: its epoch goes on.
  private mutating func resume(_ i: Int, _ record: OwnershipRecord) {
    guard record.primary != nil, case .ended(let epoch) = shards[i].lead, record.epoch == epoch + 1,
      shards[i].record?.epoch == epoch, shards[i].vote == .settled(epoch), shards[i].heardEpoch <= epoch
    else { return }
    shards[i].lead = .serving(epoch)
    effects.append(.resumeEpoch(shards[i].account, epoch))
  }

  mutating func learn(_ entry: OwnershipEntry, isWatched: Bool = false, _ now: Instant) {
    let i = place(of: entry.record.account)
    guard entry.revision > shards[i].revision else {
      guard isWatched, entry.revision < shards[i].revision, configuration.plantedBugs.contains(.trustLateWatch) else {
        return
      }
      shards[i].vote = .settled(entry.record.epoch)
      return obey(i, entry, now)
    }
    obey(i, entry, now)
  }

  private mutating func obey(_ i: Int, _ entry: OwnershipEntry, _ now: Instant) {
    let record = entry.record
    let before = shards[i].record
    shards[i].record = record
    shards[i].revision = entry.revision
    if before?.epoch != record.epoch || before?.primary != record.primary {
      shards[i].seenAt = now
      shards[i].isReleased = false
    }
    if let epoch = shards[i].lead.epoch, epoch < record.epoch || record.primary != node { endLead(i, epoch) }
    if case .ended(let epoch) = shards[i].lead, epoch < record.epoch { shards[i].lead = .none }
    if record.counts(node) {
      if record.epoch > shards[i].vote.epoch { beginAdoption(i, record.epoch, now) }
    } else {
      leaveVote(i, epoch: record.epoch)
    }
    effects.append(.configure(record))
    advance(i, now)
  }

  /// No voter of this shard (any more): what it promised stands, what it was about to promise is void.
  private mutating func leaveVote(_ i: Int, epoch: Epoch) {
    for holder in shards[i].grants.keys.sorted() {
      let p = peerPlace(of: holder)
      shards[i].grantEnd = max(shards[i].grantEnd, peers[p].grantUntil)
      peers[p].end(OwnershipClaim(account: shards[i].account, epoch: epoch))
    }
    shards[i].grants = [:]
    shards[i].reports = [:]
    if case .adopting = shards[i].vote { shards[i].vote = .settled(shards[i].promise.epoch) }
  }

  private mutating func remove(_ i: Int, _ now: Instant) {
    if let epoch = shards[i].lead.epoch { endLead(i, epoch) }
    leaveVote(i, epoch: shards[i].vote.epoch + 1)
    shards[i].record = nil
  }
}
