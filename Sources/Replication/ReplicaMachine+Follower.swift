// As voter or learner: what the primary of the followed epoch sends is held against the log, stored when everything
// that it names is here, and acknowledged when the disk has it.

import Base
import Formats

extension ReplicaMachine {
  mutating func receive(
    _ append: ReplicationMessage.Append, from sender: NodeID, _ naming: [LogIndex: [RecordingID]], _ now: Instant
  ) {
    if configuration.plantedBugs.contains(.skipFence), lead == nil, let epoch = follow?.epoch, epoch > append.epoch {
      follow = ReplicaFollow(epoch: append.epoch, mayAcknowledge: true)
    }
    guard let epoch = follow?.epoch, epoch == append.epoch, lead == nil else {
      let known = max(fencedEpoch, follow?.epoch ?? 0)
      if append.epoch < known { counters.staleEpochDrops += 1 } else { counters.unknownEpochDrops += 1 }
      guard lead?.epoch != append.epoch else { return }
      return refuse(append, to: sender, .epoch)
    }
    if let record, record.epoch == epoch, let primary = record.primary, primary != sender {
      return counters.strangerDrops += 1
    }
    follow?.source = sender
    guard let (previous, records) = beyondCommitted(append, sender, now) else { return }
    guard log.position(at: previous.index) == previous else {
      if previous.index == log.committed.index {
        return damage("\(sender.shortName) has \(previous) where \(log.committed) is committed here")
      }
      return refuse(append, to: sender, .mismatch)
    }
    accept(records, behind: previous, from: sender, naming)
    let end = records.last?.position.index ?? previous.index
    let matched = follow?.matched ?? 0
    follow?.matched = max(matched, end)
    hear(append, now)
    publishTold(now)
    // Else the disk's word comes first.
    let isDurable = log.acknowledgeable(end)?.index == end
    if append.asks || !append.records.isEmpty && isDurable { acknowledge(now, isAnswer: append.asks) }
    // Ownership may not have known the shard yet when it was told.
    if append.asks, follow?.mayAcknowledge == false { tellSynced() }
  }

  /// What lies behind the commit point; nil when that was the end of it.
  private mutating func beyondCommitted(
    _ append: ReplicationMessage.Append, _ sender: NodeID, _ now: Instant
  ) -> (Position, ArraySlice<SealedRecord>)? {
    let committed = log.committed
    guard append.previous.index < committed.index else { return (append.previous, append.records[...]) }
    guard let i = append.records.firstIndex(where: { $0.header.index == committed.index }) else {
      // It speaks of what is long over here: it hears how far this log is.
      counters.duplicates += append.records.count
      if follow?.matched != nil {
        hear(append, now)
        publishTold(now)
        acknowledge(now)
      } else {
        refuse(append, to: sender, .mismatch)
      }
      return nil
    }
    guard append.records[i].position == committed else {
      damage("\(sender.shortName) has \(append.records[i].position) where \(committed) is committed here")
      return nil
    }
    counters.duplicates += i + 1
    return (committed, append.records[(i + 1)...])
  }

  /// Records that are here already are passed over; the first that is not replaces whatever stands in its place.
  private mutating func accept(
    _ records: ArraySlice<SealedRecord>, behind previous: Position, from sender: NodeID,
    _ naming: [LogIndex: [RecordingID]]
  ) {
    var rest = records
    var last = previous
    while let record = rest.first, log.position(at: record.header.index) == record.position {
      last = record.position
      rest.removeFirst()
      counters.duplicates += 1
    }
    guard !rest.isEmpty else { return }
    log.branch(after: last)
    for record in rest {
      let named =
        configuration.plantedBugs.contains(.ignoreRecordings) ? [] : Set(naming[record.header.index] ?? [])
      log.intake.append(ReplicaLog.Waiting(record: record, missing: named))
      if !named.isEmpty { effects.append(.demand(named.sorted(), from: sender)) }
    }
    storeReady()
  }

  /// Hands on what waits for nothing, in order, behind a cut when the log has something else there.
  private mutating func storeReady() {
    let count = log.readyCount
    guard count > 0, log.cutting == nil else { return }
    if let position = log.cutNeeded {
      guard position.index >= log.committed.index else {
        return damage("a record is to go behind \(position), \(log.committed) is committed here")
      }
      log.beginCut()
      counters.cuts += 1
      effects.append(.cut(after: position))
      return
    }
    let records = log.takeReady(count)
    counters.recordsStored += records.count
    effects.append(.store(records))
  }

  mutating func cutDone(_ position: Position, _ now: Instant) {
    guard log.cutting == position else { return counters.lateDrops += 1 }
    counters.recordsCut += log.endCut()
    storeReady()
  }

  mutating func available(_ ids: [RecordingID], _ now: Instant) {
    for i in log.intake.indices where !log.intake[i].missing.isEmpty { log.intake[i].missing.subtract(ids) }
    storeReady()
  }

  /// Says how much of the primary's log is durable here, when that is allowed. Before, a question is answered with
  /// nothing: a primary that hears no answer sends no records, and the first of them is what the leave waits for.
  mutating func acknowledge(_ now: Instant, asks: Bool = false, isAnswer: Bool = false) {
    guard lead == nil, let follow, follow.mayAcknowledge || isAnswer, let matched = follow.matched,
      let source = follow.source
    else {
      return
    }
    let isEarly = configuration.plantedBugs.contains(.acknowledgeEarly)
    let durable = follow.mayAcknowledge ? log.acknowledgeable(matched) : .start
    guard let position = isEarly ? log.position(at: matched) : durable else { return }
    let ack = ReplicationMessage.Ack(
      account: account, epoch: follow.epoch, synced: position, end: max(matched, position.index),
      applied: log.committed.index, sentAt: UInt64(max(0, now.nanoseconds)), asks: asks)
    effects.append(.send(.ack(ack), to: source))
  }

  mutating func refuse(_ append: ReplicationMessage.Append, to sender: NodeID, _ why: ReplicationMessage.Refusal.Reason)
  {
    counters.refusals += 1
    let refusal = ReplicationMessage.Refusal(
      account: account, epoch: max(fencedEpoch, follow?.epoch ?? 0), previous: append.previous.index,
      end: log.accepted, committed: log.committed, why: why)
    effects.append(.send(.refuse(refusal), to: sender))
  }

  mutating func receive(_ base: ReplicationMessage.Base, from sender: NodeID) {
    guard follow?.epoch == base.epoch, lead == nil else { return counters.staleEpochDrops += 1 }
    guard follow?.wantsBase == false else { return }
    follow?.wantsBase = true
    follow?.source = sender
    effects.append(.needBase(from: sender))
  }

  mutating func rebased(_ standing: ReplicaStanding) {
    let end = standing.tail.last?.position ?? standing.committed
    guard lead == nil, place(end) >= log.reached, standing.committed.index >= log.committed.index else {
      return damage("a base that ends at \(end) took the place of a log that was at \(log.reached)")
    }
    log.rebase(standing)
    follow?.wantsBase = false
    follow?.matched = nil
    follow?.echoes = []
    tellSynced()
    guard let follow, let source = follow.source else { return }
    // Its primary need not wait until it asks again.
    let refusal = ReplicationMessage.Refusal(
      account: account, epoch: follow.epoch, previous: 0, end: end, committed: standing.committed, why: .mismatch)
    effects.append(.send(.refuse(refusal), to: source))
  }
}
