// What a replica's disk does: writes of the log and their syncs, cuts, checkpoints of the pages, recordings, and bases
// that take the place of everything.

import Base
import Formats
import Replication
import Simulator

extension ClusterWorld {
  func writeLog(_ number: Int, _ shard: Int, _ records: [SealedRecord]) {
    let serial = replica(number, shard).log.write(records)
    putReplica(
      .logSynced(number, life: life(number), shard: shard, serial), at: syncDone(number, after: lastSync[number]))
  }

  func logSynced(_ number: Int, _ shard: Int, _ serial: UInt64) {
    let replica = replica(number, shard)
    guard let first = replica.log.synced(serial) else { return }
    noteHeld(number, shard, from: first)
    replicaStep(number, shard, .synced(replica.log.durableEnd))
  }

  func noteHeld(_ number: Int, _ shard: Int, from first: LogIndex) {
    guard let ownership else { return }
    let replica = replica(number, shard)
    check { () throws(Violation) in
      for record in replica.log.durable(from: first) {
        ownership.checkers.publishing.held(number, shard, record.position)
        try ownership.checkers.matching.held(number, shard, record)
        try RecordingChecker.check(number, shard, record, replica.recordings)
      }
    }
  }

  func cutDone(_ number: Int, _ shard: Int, _ position: Position) {
    guard let ownership else { return }
    let replica = replica(number, shard)
    let gone = replica.log.cut(after: position.index)
    if !gone.isEmpty { totals.note("tail to quarantine") }
    totals.note("records to quarantine", gone.count)
    check { () throws(Violation) in try ownership.checkers.replicas.cut(shard, number, gone) }
    replicaStep(number, shard, .cutDone(position))
  }

  func logRead(_ number: Int, _ shard: Int, for node: NodeID, from: LogIndex) {
    let replica = replica(number, shard)
    let bytesMax = ownership?.plan.replication.configuration.readBytesMax ?? 0
    var records: [SealedRecord] = []
    var bytes = 0
    for record in replica.log.records(from: from) ?? [] {
      bytes += record.frame.count
      if !records.isEmpty, bytes > bytesMax { break }
      records.append(record)
    }
    if !records.isEmpty { totals.note("catch-up from the log") }
    replicaStep(number, shard, .read(for: node, from: from, records.isEmpty ? nil : records))
  }

  /// Everything up to `position` is seen by readers.
  func publish(_ number: Int, _ shard: Int, _ position: Position) {
    guard let ownership else { return }
    let replica = replica(number, shard)
    let bugs = ownership.plan.replication.bugs
    for record in replica.log.records(from: replica.state.position.index + 1) ?? [] {
      guard record.header.index <= position.index else { break }
      guard let shown = replica.state.apply(record, checksBase: !bugs.contains(.ignoreBase)) else {
        return damaged(number, shard, "\(record.position) is a difference to another page than is here")
      }
      check { () throws(Violation) in try ownership.checkers.replicas.published(shard, number, record, shown) }
    }
    check { () throws(Violation) in
      try ownership.checkers.groups.published(shard, number, replica.state.position, told: position, replica.log)
    }
    guard let epoch = replica.driver?.machine.leading, replica.lead?.epoch == epoch else { return }
    check { () throws(Violation) in
      try ownership.checkers.publishing.check(shard, position, epoch, number, self)
      try ownership.checkers.primaries.acknowledged(shard, epoch, number, members[number].life)
    }
    reply(number, shard, upTo: position)
  }

  /// What a write had not made durable is lost, and the process goes on.
  func failWrites(_ number: Int) -> Bool {
    guard let owner = ownership?.owners[number], owner.driver != nil else { return false }
    var isHit = false
    for (shard, replica) in owner.replicas.enumerated() where replica.log.hasUnsynced || replica.lead != nil {
      isHit = true
      replica.log.fail()
      replica.lead = nil
      replicaStep(number, shard, .failed(replica.log.durableEnd))
    }
    return isHit
  }

  /// Every node, now and then: pages go to the main state, and what they cover may go from the log.
  func checkpoint() {
    guard let ownership else { return }
    let plan = ownership.plan.replication
    putReplica(.checkpoint, at: now + plan.checkpointPeriod / 2 + Int64(random.below(Int(plan.checkpointPeriod))))
    for owner in ownership.owners where owner.driver != nil && !isPaused(owner.number) {
      for (shard, replica) in owner.replicas.enumerated() where replica.driver != nil && random.oneIn(2) {
        var state = replica.state
        if plan.bugs.contains(.checkpointPastCommit) {
          for record in replica.log.durable(from: state.position.index + 1) { _ = state.apply(record) }
        }
        guard state.position.index > replica.main.position.index else { continue }
        putReplica(
          .flushed(owner.number, life: life(owner.number), shard: shard, state),
          at: syncDone(owner.number, after: lastSync[owner.number]))
      }
    }
  }

  func flushed(_ number: Int, _ shard: Int, _ state: PageState) {
    guard let ownership else { return }
    let replica = replica(number, shard)
    guard state.position.index > replica.main.position.index else { return }
    replica.mainBefore = replica.main
    replica.main = state
    totals.note("checkpoint")
    guard ownership.plan.replication.dropsPermille > random.below(1000) else { return }
    let kept = UInt64(random.below(60))
    if state.position.index > kept { replica.log.dropFront(upTo: state.position.index - kept) }
  }

  func demand(_ number: Int, _ shard: Int, _ ids: [RecordingID], from source: NodeID) {
    guard let from = numbers[source], let epoch = replica(number, shard).driver?.machine.following else { return }
    totals.note("recordings demanded")
    putReplica(
      .fetch(number, life: life(number), shard: shard, ids, from: from, epoch),
      at: now + Int64(random.below(3_000_000)))
  }

  /// Tries again as long as the epoch is followed.
  func fetch(_ number: Int, _ shard: Int, _ ids: [RecordingID], from: Int, _ epoch: Epoch) {
    let own = replica(number, shard)
    guard own.driver?.machine.following == epoch else { return }
    let missing = Set(ids).subtracting(own.recordings)
    let reaches = ownership?.owners[from].driver != nil && !isPaused(from) && !network.isCut(from: from, to: number)
    if missing.isEmpty || reaches && missing.isSubset(of: replica(from, shard).recordings) {
      let travel = missing.isEmpty ? 0 : network.onStream(from: from, to: number, at: now).map { $0 - now } ?? 0
      putReplica(
        .fetched(number, life: life(number), shard: shard, ids),
        at: syncDone(number, after: lastSync[number]) + travel)
      return
    }
    putReplica(
      .fetch(number, life: life(number), shard: shard, ids, from: from, epoch),
      at: now + Int64(10 + random.below(40)) * 1_000_000)
  }

  func needBase(_ number: Int, _ shard: Int, from source: NodeID) {
    guard let from = numbers[source], let epoch = replica(number, shard).driver?.machine.following else { return }
    putReplica(
      .base(number, life: life(number), shard: shard, from: from, epoch),
      at: now + Int64(5 + random.below(200)) * 1_000_000)
  }

  /// Tried again as long as the epoch is followed.
  func takeBase(_ number: Int, _ shard: Int, from: Int, _ epoch: Epoch) {
    let replica = replica(number, shard)
    guard replica.driver?.machine.following == epoch else { return }
    let source = self.replica(from, shard)
    let reaches = !isPaused(from) && !network.isCut(from: from, to: number) && !network.isCut(from: number, to: from)
    if reaches, source.driver?.machine.leading == epoch, source.state.position.index > replica.state.position.index {
      let tail = Array(source.log.records(from: source.state.position.index + 1) ?? [])
      let base = SimulatedReplica.Base(
        state: source.state, tail: tail, recordings: source.recordings, source: from, epoch: epoch,
        isStale: source.isStale)
      putReplica(
        .baseSynced(number, life: life(number), shard: shard, base),
        at: syncDone(number, after: lastSync[number]) + Int64(random.below(50)) * 1_000_000)
    } else {
      putReplica(
        .base(number, life: life(number), shard: shard, from: from, epoch),
        at: now + Int64(20 + random.below(80)) * 1_000_000)
    }
  }

  func baseSynced(_ number: Int, _ shard: Int, _ base: SimulatedReplica.Base) {
    guard let ownership else { return }
    let replica = replica(number, shard)
    let place = LogPlace(epoch: base.end.epoch, index: base.end.index)
    guard replica.lead == nil, place >= replica.log.reached,
      base.state.position.index > replica.state.position.index
    else { return takeBase(number, shard, from: base.source, base.epoch) }
    totals.note("catch-up from a base")
    replica.log.rebase(at: base.state.position, base.tail)
    replica.main = base.state
    replica.mainBefore = base.state
    replica.state = base.state
    replica.recordings.formUnion(base.recordings)
    if base.isStale {
      replica.isStale = true
      ownership.owners[number].isBroken = true
    }
    check { () throws(Violation) in try ownership.checkers.replicas.based(shard, number, base.state.position) }
    noteHeld(number, shard, from: base.state.position.index + 1)
    replicaStep(
      number, shard,
      .rebased(ReplicaStanding(committed: base.state.position, tail: base.tail, reached: replica.log.reached)))
  }
}
