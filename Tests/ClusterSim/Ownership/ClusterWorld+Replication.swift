// A small data plane under the rules that ownership sets: the primary appends and sends, replicas store what fits behind
// what they have, cut back what does not, and acknowledge what their disk has; what a write set has is committed.

import Base
import Control
import Formats
import Simulator

extension ClusterWorld {
  private static let entriesPerMessage = 30
  private static let retransmitPeriod: Int64 = 60_000_000

  func account(_ shard: Int) -> AccountID { ownership!.plan.shards[shard].account }

  /// What the machine wants done to a log.
  func perform(_ effect: OwnershipEffect, _ owner: SimulatedOwner) {
    guard let ownership else { return }
    func shard(_ account: AccountID) -> Int { ownership.shardNumbers[account] ?? 0 }
    let number = owner.number
    switch effect {
    case .fence(let account, let epoch):
      ownerStep(number, .fenced(account, epoch, owner.logs[shard(account)].place))
    case .lead(let record): lead(number, shard(record.account), record.epoch)
    case .stop(let account, _): owner.leads[shard(account)] = nil
    case .acknowledge(let account, let epoch): acknowledge(number, shard(account), epoch)
    case .serving(let account, let epoch): beginService(number, shard(account), epoch)
    case .finishEpoch(let account, let epoch, let successor):
      let i = shard(account)
      guard owner.leads[i]?.epoch == epoch else { return }
      owner.leads[i]?.takesWrites = false
      owner.leads[i]?.successor = numbers[successor]
      finishEpoch(number, i)
    case .resumeEpoch(let account, let epoch):
      let i = shard(account)
      if owner.leads[i]?.epoch != epoch { owner.leads[i] = newLead(epoch) }
      owner.leads[i]?.takesWrites = true
      owner.leads[i]?.successor = nil
      startRetransmission(number)
    case .damaged: totals.note("damaged log noticed")
    case .send, .request, .persist, .configure, .follow, .setTimer: break
    }
  }

  private func newLead(_ epoch: Epoch) -> SimulatedOwner.Lead {
    let none = [Int](repeating: 0, count: members.count)
    return SimulatedOwner.Lead(epoch: epoch, match: none, next: none)
  }

  private func lead(_ number: Int, _ shard: Int, _ epoch: Epoch) {
    guard let ownership else { return }
    let owner = ownership.owners[number]
    totals.note("lead begun")
    owner.leads[shard] = newLead(epoch)
    owner.leads[shard]?.next = [Int](repeating: owner.logs[shard].entries.count, count: members.count)
    owner.logs[shard].verified = (epoch, owner.logs[shard].entries.count)
    append(number, shard, id: newID())
    startRetransmission(number)
  }

  func newID() -> UInt64 {
    ownership!.nextID += 1
    return ownership!.nextID
  }

  private func startRetransmission(_ number: Int) {
    guard let owner = ownership?.owners[number], !owner.isRetransmitting else { return }
    owner.isRetransmitting = true
    scheduler.put(
      .owner(.retransmit(number, life: members[number].life)), at: now + Self.retransmitPeriod)
  }

  private func beginService(_ number: Int, _ shard: Int, _ epoch: Epoch) {
    guard let ownership else { return }
    totals.note("service begun")
    ownership.owners[number].leads[shard]?.takesWrites = true
    check { () throws(Violation) in
      try ownership.checkers.exclusive.check(shard, self)
      try ownership.checkers.acknowledged.check(shard, epoch, number, ownership.owners[number].logs[shard])
    }
  }

  /// Appends at the primary; returns the index.
  @discardableResult
  private func append(_ number: Int, _ shard: Int, id: UInt64) -> Int {
    guard let ownership, let epoch = ownership.owners[number].leads[shard]?.epoch else { return 0 }
    let owner = ownership.owners[number]
    let index = owner.logs[shard].entries.count + 1
    let entry = ShardLog.Entry(epoch: epoch, id: id)
    check { () throws(Violation) in
      try ownership.checkers.names.named(shard, index, entry)
      try ownership.checkers.lives.appended(shard, epoch, number, members[number].life, self)
    }
    owner.logs[shard].verified = (epoch, index)
    store(number, shard, [entry], at: index - 1)
    for other in followers(number, shard) { send(number, shard, to: other) }
    return index
  }

  private func store(_ number: Int, _ shard: Int, _ entries: [ShardLog.Entry], at offset: Int) {
    guard let owner = ownership?.owners[number] else { return }
    let serial = owner.logs[shard].write(entries, at: offset)
    scheduler.put(
      .owner(.synced(number, life: members[number].life, shard: shard, serial)),
      at: syncDone(number, after: lastSync[number]))
  }

  private func followers(_ number: Int, _ shard: Int) -> [Int] {
    guard let record = ownership?.owners[number].driver?.machine.record(account(shard)) else { return [] }
    let nodes = record.electors + record.learners.map(\.node)
    var result: [Int] = []
    for node in nodes {
      if let other = numbers[node], other != number, !result.contains(other) { result.append(other) }
    }
    return result
  }

  private func send(_ number: Int, _ shard: Int, to other: Int) {
    guard let owner = ownership?.owners[number], var lead = owner.leads[shard] else { return }
    let log = owner.logs[shard]
    let previous = min(lead.next[other], log.entries.count)
    let end = min(log.entries.count, previous + Self.entriesPerMessage)
    lead.next[other] = end
    owner.leads[shard] = lead
    transmit(
      number, other, shard,
      .append(
        epoch: lead.epoch, previous: previous, previousEpoch: previous == 0 ? 0 : log.entries[previous - 1].epoch,
        entries: Array(log.entries[previous..<end]), commit: log.commit))
  }

  private func transmit(_ from: Int, _ to: Int, _ shard: Int, _ message: Replication) {
    for arrival in network.datagram(from: from, to: to, at: now) {
      scheduler.put(.owner(.replication(to: to, from: from, shard: shard, message)), at: arrival)
    }
  }

  func retransmit(_ number: Int) {
    guard let owner = ownership?.owners[number] else { return }
    owner.isRetransmitting = false
    for shard in owner.leads.indices where owner.leads[shard] != nil {
      for other in followers(number, shard) {
        // Who has not answered yet refuses what does not fit, and says where its log ends.
        let match = owner.leads[shard]?.match[other] ?? 0
        if match > 0 { owner.leads[shard]?.next[other] = match }
        send(number, shard, to: other)
      }
      tellPlaces(number, shard)
      finishEpoch(number, shard)
    }
    if owner.leads.contains(where: { $0 != nil }) { startRetransmission(number) }
  }

  private func tellPlaces(_ number: Int, _ shard: Int) {
    guard let owner = ownership?.owners[number], let lead = owner.leads[shard] else { return }
    var places: [NodeID: LogPlace] = [:]
    for (other, index) in lead.match.enumerated() where index > 0 {
      let epoch = owner.logs[shard].entries[index - 1].epoch
      places[members[other].id] = LogPlace(epoch: epoch, index: UInt64(index))
    }
    if !places.isEmpty { ownerStep(number, .acknowledged(account(shard), places)) }
  }

  func replicate(_ to: Int, _ from: Int, _ shard: Int, _ message: Replication) {
    guard let owner = ownership?.owners[to] else { return }
    switch message {
    case .append(let epoch, let previous, let previousEpoch, let entries, let commit):
      receive(to, from, shard, epoch, previous, previousEpoch, entries, commit)
    case .acknowledged(let epoch, let index):
      guard let lead = owner.leads[shard], lead.epoch == epoch, index > lead.match[from],
        index <= owner.logs[shard].entries.count
      else { return }
      owner.leads[shard]?.match[from] = index
      owner.leads[shard]?.next[from] = max(lead.next[from], index)
      advanceCommit(to, shard)
      if let lead = owner.leads[shard], lead.next[from] < owner.logs[shard].entries.count { send(to, shard, to: from) }
    case .refused(let epoch, let last):
      guard let lead = owner.leads[shard], lead.epoch == epoch else { return }
      owner.leads[shard]?.next[from] = max(lead.match[from], min(last, lead.next[from]))
      send(to, shard, to: from)
    }
  }

  private func receive(
    _ number: Int, _ from: Int, _ shard: Int, _ epoch: Epoch, _ previous: Int, _ previousEpoch: Epoch,
    _ entries: [ShardLog.Entry], _ commit: Int
  ) {
    guard let ownership, let machine = ownership.owners[number].driver?.machine,
      machine.mayStore(account(shard), epoch)
    else { return }
    let owner = ownership.owners[number]
    var log: ShardLog { owner.logs[shard] }
    if log.verified.epoch != epoch { owner.logs[shard].verified = (epoch, 0) }
    owner.logs[shard].source = from
    guard previous <= log.entries.count, previous == 0 || log.entries[previous - 1].epoch == previousEpoch else {
      let last = min(previous - 1, log.entries.count)
      return transmit(number, from, shard, .refused(epoch: epoch, last: last))
    }
    var skipped = 0
    while skipped < entries.count, previous + skipped < log.entries.count,
      log.entries[previous + skipped] == entries[skipped]
    { skipped += 1 }
    if skipped < entries.count {
      let offset = previous + skipped
      if offset < log.entries.count { totals.note("tail cut back") }
      check { () throws(Violation) in
        guard offset >= log.commit else {
          throw Violation(checker: "replicas", message: "\(number) would cut \(offset) below its commit \(log.commit)")
        }
      }
      store(number, shard, Array(entries[skipped...]), at: offset)
    }
    owner.logs[shard].verified.index = max(log.verified.index, previous + entries.count)
    publish(number, shard, min(commit, log.verified.index))
    acknowledge(number, shard, epoch)
  }

  func synced(_ number: Int, _ shard: Int, _ serial: UInt64) {
    guard let owner = ownership?.owners[number], let first = owner.logs[shard].synced(serial) else { return }
    noteHeld(number, shard, from: first)
    guard let machine = owner.driver?.machine else { return }
    let epoch = owner.logs[shard].verified.epoch
    if !machine.mayAcknowledge(account(shard), epoch) {
      ownerStep(number, .synced(account(shard), owner.logs[shard].place))
    }
    acknowledge(number, shard, epoch)
  }

  func noteHeld(_ number: Int, _ shard: Int, from first: Int) {
    guard let ownership else { return }
    ownership.checkers.publishing.held(number, shard, ownership.owners[number].logs[shard].durable, from: first)
  }

  /// Says what the disk has, when that is allowed.
  private func acknowledge(_ number: Int, _ shard: Int, _ epoch: Epoch) {
    guard let ownership, let machine = ownership.owners[number].driver?.machine else { return }
    let owner = ownership.owners[number]
    guard owner.logs[shard].verified.epoch == epoch, machine.mayAcknowledge(account(shard), epoch) else { return }
    let index = owner.logs[shard].acknowledgeable
    guard index > 0 else { return }
    check { () throws(Violation) in try ownership.checkers.promises.acknowledged(number, shard, epoch) }
    if owner.leads[shard]?.epoch == epoch {
      owner.leads[shard]?.match[number] = index
      advanceCommit(number, shard)
    } else if let to = owner.logs[shard].source, to != number {
      transmit(number, to, shard, .acknowledged(epoch: epoch, index: index))
    }
  }

  /// The greatest index of this epoch that a write set has; what lies before it is committed with it.
  private func advanceCommit(_ number: Int, _ shard: Int) {
    guard let ownership, let lead = ownership.owners[number].leads[shard],
      let machine = ownership.owners[number].driver?.machine
    else { return }
    let owner = ownership.owners[number]
    for index in Set(lead.match).sorted(by: >) where index > owner.logs[shard].commit {
      guard owner.logs[shard].entries[index - 1].epoch == lead.epoch else { continue }
      let holders = Set(lead.match.indices.filter { lead.match[$0] >= index }.map { members[$0].id })
      guard machine.isWriteSet(account(shard), holders) else { continue }
      check { () throws(Violation) in
        try ownership.checkers.publishing.check(shard, index, lead.epoch, number, self)
        try ownership.checkers.primaries.acknowledged(shard, lead.epoch, number, members[number].life)
      }
      publish(number, shard, index)
      let done = lead.waiting.filter { $0.index <= index }
      owner.leads[shard]?.waiting.removeAll { $0.index <= index }
      for write in done { ownership.checkers.acknowledged.acknowledged(shard, write.index, write.id, lead.epoch) }
      totals.note("write acknowledged", done.count)
      if !lead.hasCommitted {
        owner.leads[shard]?.hasCommitted = true
        ownerStep(number, .committed(account(shard), lead.epoch))
      }
      break
    }
    finishEpoch(number, shard)
  }

  private func publish(_ number: Int, _ shard: Int, _ index: Int) {
    guard let ownership else { return }
    let owner = ownership.owners[number]
    guard index > owner.logs[shard].commit else { return }
    let before = owner.logs[shard].commit
    owner.logs[shard].commit = index
    check { () throws(Violation) in
      try ownership.checkers.replicas.published(shard, number, owner.logs[shard].entries, from: before, to: index)
    }
  }

  private func finishEpoch(_ number: Int, _ shard: Int) {
    guard let owner = ownership?.owners[number], let lead = owner.leads[shard], let successor = lead.successor else {
      return
    }
    let last = owner.logs[shard].entries.count
    guard owner.logs[shard].commit == last, lead.match[successor] == last else { return }
    owner.leads[shard]?.successor = nil
    totals.note("hand-over finished")
    ownerStep(number, .epochFinished(account(shard), lead.epoch))
  }

  func write(_ number: Int, _ shard: Int, _ id: UInt64) {
    guard let ownership, let machine = ownership.owners[number].driver?.machine else { return }
    guard let epoch = machine.writableEpoch(account(shard)), let lead = ownership.owners[number].leads[shard],
      lead.epoch == epoch, lead.takesWrites, lead.waiting.count < 40
    else { return redirect(shard, machine) }
    let index = append(number, shard, id: id)
    ownership.owners[number].leads[shard]?.waiting.append((index, id))
  }

  private func redirect(_ shard: Int, _ machine: OwnershipMachine) {
    guard let ownership else { return }
    let known = machine.record(account(shard))?.primary.flatMap { numbers[$0] }
    ownership.guesses[shard] = known ?? random.below(members.count)
  }

  /// Pins what is published; the answer leaves a little later, if the lease still holds then.
  func read(_ number: Int, _ shard: Int, _ began: Int64, _ acknowledged: Int) {
    guard let ownership, let machine = ownership.owners[number].driver?.machine else { return }
    guard let epoch = machine.servingEpoch(account(shard)) else { return redirect(shard, machine) }
    let time = random.oneIn(10) ? Int64(random.below(700)) * 1_000_000 : Int64(random.below(2_000_000))
    scheduler.put(
      .owner(
        .readEnds(
          number, life: members[number].life, shard: shard, epoch: epoch,
          pin: ownership.owners[number].logs[shard].commit, began: began, acknowledged: acknowledged)), at: now + time)
  }

  func endRead(_ number: Int, _ shard: Int, _ epoch: Epoch, _ pin: Int, _ began: Int64, _ acknowledged: Int) {
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
}
