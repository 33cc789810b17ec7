// The writer of a shard at its primary, and who reads: transactions of one or several records, with recordings or
// without; replies leave when their record is published.

import Base
import Control
import Formats
import Replication
import Simulator

extension ClusterWorld {
  func lead(_ number: Int, _ shard: Int, _ epoch: Epoch) {
    totals.note("lead begun")
    replica(number, shard).lead = SimulatedReplica.Lead(epoch: epoch)
    replicaStep(number, shard, .lead(epoch))
    // Seldom the writer takes its time; what older epochs left goes out meanwhile.
    let time = random.oneIn(6) ? 100_000_000 : 1_000_000
    putReplica(.epochRecord(number, life: life(number), shard: shard, epoch), at: now + Int64(random.below(time)))
  }

  /// A hand-over that failed: the epoch goes on where it was.
  func resume(_ number: Int, _ shard: Int, _ epoch: Epoch) {
    let replica = replica(number, shard)
    if replica.lead?.epoch != epoch {
      var lead = SimulatedReplica.Lead(epoch: epoch)
      lead.head = head(number, shard)
      replica.lead = lead
    }
    replica.lead?.takesWrites = true
    replicaStep(number, shard, .resume(epoch))
  }

  func beginEpoch(_ number: Int, _ shard: Int, _ epoch: Epoch) {
    let replica = replica(number, shard)
    guard replica.lead?.epoch == epoch, replica.lead?.head == nil, replica.driver?.machine.leading == epoch else {
      return
    }
    guard !replica.isStale, let head = head(number, shard) else {
      return damaged(number, shard, "a primary reads its pages and finds an old one")
    }
    replica.lead?.head = head
    append(number, shard, .epoch, id: newID(), continues: false)
  }

  /// What is published and what the log has behind it.
  private func head(_ number: Int, _ shard: Int) -> PageState? {
    let replica = replica(number, shard)
    var head = replica.state
    for record in replica.log.records(from: head.position.index + 1) ?? [] {
      guard head.apply(record) != nil else { return nil }
    }
    return head
  }

  func newID() -> UInt64 {
    ownership!.nextID += 1
    return ownership!.nextID
  }

  func beginService(_ number: Int, _ shard: Int, _ epoch: Epoch) {
    guard let ownership else { return }
    totals.note("promotion")
    replica(number, shard).lead?.takesWrites = true
    check { () throws(Violation) in
      try ownership.checkers.exclusive.check(shard, self)
      try ownership.checkers.acknowledged.check(shard, epoch, number, replica(number, shard).log)
    }
  }

  private func append(
    _ number: Int, _ shard: Int, _ kind: RecordKind, id: UInt64, continues: Bool,
    change: SimulatedRecord.Change? = nil, recordings: [RecordingID] = []
  ) {
    guard let ownership, let epoch = replica(number, shard).lead?.epoch else { return }
    let replica = replica(number, shard)
    let record = SimulatedRecord.make(
      kind, behind: replica.log.end, in: account(shard), epoch: epoch, continues: continues,
      commit: replica.state.position.index, id: id, change: change, recordings: recordings)
    check { () throws(Violation) in
      try ownership.checkers.names.named(shard, record.position)
      try ownership.checkers.lives.appended(shard, epoch, number, members[number].life, self)
    }
    _ = replica.lead?.head?.apply(record)
    if kind == .pages, !continues { replica.lead?.waiting.append((record.position, id)) }
    writeLog(number, shard, [record])
    replicaStep(number, shard, .appended([record]))
  }

  func write(_ number: Int, _ shard: Int, _ id: UInt64) {
    guard let ownership, let machine = ownership.owners[number].driver?.machine else { return }
    let replica = replica(number, shard)
    guard let epoch = machine.writableEpoch(account(shard)), let lead = replica.lead, lead.epoch == epoch,
      lead.takesWrites, lead.head != nil, lead.waiting.count < 40
    else { return redirect(shard, machine) }
    guard lead.group == nil else { return }
    let plan = ownership.plan.replication
    let parts = plan.groupsPermille > random.below(1000) ? 2 + random.below(2) : 1
    var group = SimulatedReplica.Group(id: id, recordings: [], partsLeft: parts)
    guard plan.recordingsPermille > random.below(1000) else { return begin(group, number, shard, epoch) }
    // Its bytes are durable here before any record names it.
    group.recordings = (0...random.below(2)).map { _ in RecordingID(from: &random) }
    putReplica(
      .uploaded(number, life: life(number), shard: shard, epoch, group),
      at: syncDone(number, after: lastSync[number]))
  }

  func uploaded(_ number: Int, _ shard: Int, _ epoch: Epoch, _ group: SimulatedReplica.Group) {
    let replica = replica(number, shard)
    replica.recordings.formUnion(group.recordings)
    guard replica.lead?.epoch == epoch, replica.lead?.takesWrites == true, replica.lead?.group == nil else { return }
    totals.note("recording stored")
    begin(group, number, shard, epoch)
  }

  private func begin(_ group: SimulatedReplica.Group, _ number: Int, _ shard: Int, _ epoch: Epoch) {
    replica(number, shard).lead?.group = group
    appendPart(number, shard, epoch, group.id)
  }

  /// The next record of the open transaction; the rest at once or a little later.
  func appendPart(_ number: Int, _ shard: Int, _ epoch: Epoch, _ id: UInt64) {
    let replica = replica(number, shard)
    guard let lead = replica.lead, lead.epoch == epoch, var group = lead.group, group.id == id, let head = lead.head
    else { return }
    if group.recordings.isEmpty {
      group.partsLeft -= 1
      replica.lead?.group = group.partsLeft > 0 ? group : nil
      let page = UInt8(random.below(SimulatedRecord.pages))
      let before = head.page(page)
      let difference = random.next()
      append(
        number, shard, .pages, id: id, continues: group.partsLeft > 0,
        change: .init(
          page: page, base: before.version, difference: difference, result: before.value ^ difference))
    } else {
      let recordings = group.recordings
      group.recordings = []
      replica.lead?.group = group
      append(number, shard, .recordings, id: id, continues: true, recordings: recordings)
    }
    guard replica.lead?.group?.id == id else { return }
    let delay = random.oneIn(2) ? 0 : Int64(random.below(4_000_000))
    putReplica(.part(number, life: life(number), shard: shard, epoch, id: id), at: now + delay)
  }

  func redirect(_ shard: Int, _ machine: OwnershipMachine) {
    guard let ownership else { return }
    let known = machine.record(account(shard))?.primary.flatMap { numbers[$0] }
    ownership.guesses[shard] = known ?? random.below(members.count)
  }

  /// Replies leave: their records are published.
  func reply(_ number: Int, _ shard: Int, upTo position: Position) {
    guard let ownership, let lead = replica(number, shard).lead else { return }
    let done = lead.waiting.filter { $0.position.index <= position.index }
    replica(number, shard).lead?.waiting.removeAll { $0.position.index <= position.index }
    for write in done { ownership.checkers.acknowledged.acknowledged(shard, write.position, lead.epoch, at: now) }
    totals.note("write acknowledged", done.count)
  }

  /// Pins what is published; the answer leaves a little later, if the lease still holds then.
  func read(_ number: Int, _ shard: Int, _ began: Int64, _ acknowledged: LogIndex) {
    guard let ownership, let machine = ownership.owners[number].driver?.machine else { return }
    guard let epoch = machine.servingEpoch(account(shard)) else { return redirect(shard, machine) }
    let time = random.oneIn(10) ? Int64(random.below(700)) * 1_000_000 : Int64(random.below(2_000_000))
    scheduler.put(
      .owner(
        .readEnds(
          number, life: members[number].life, shard: shard, epoch: epoch,
          pin: replica(number, shard).state.position.index, began: began, acknowledged: acknowledged)), at: now + time)
  }

  func endRead(
    _ number: Int, _ shard: Int, _ epoch: Epoch, _ pin: LogIndex, _ began: Int64, _ acknowledged: LogIndex
  ) {
    guard let ownership, let machine = ownership.owners[number].driver?.machine else { return }
    guard machine.mayServe(account(shard), epoch, at: members[number].now(now)) else {
      totals.note("read without a lease refused")
      return
    }
    totals.note("read answered")
    check { () throws(Violation) in
      try ReadChecker.check(shard, number, pin: pin, acknowledged: acknowledged, began: began)
      try ownership.checkers.exclusive.check(shard, self)
    }
  }

  /// A read at a standby, which may be as old as `bound` allows.
  func standbyRead(_ number: Int, _ shard: Int, _ bound: Int64, _ tries: Int) {
    guard let ownership, let machine = replica(number, shard).driver?.machine, machine.leading == nil else { return }
    let local = members[number].now(now)
    if let freshness = machine.freshness, (local - freshness.asOf).nanoseconds <= bound {
      totals.note("read answered by a standby")
      check { () throws(Violation) in
        try FreshnessChecker.check(
          shard, number, pin: replica(number, shard).state.position.index, bound: bound, at: now,
          ownership.checkers.acknowledged)
      }
      return
    }
    guard tries > 0 else { return totals.note("standby not fresh enough") }
    replicaStep(number, shard, .refresh)
    putReplica(
      .standbyRead(number, shard: shard, bound: bound, triesLeft: tries - 1),
      at: now + Int64(1 + random.below(20)) * 1_000_000)
  }
}
