// The ownership half of a node: its process, its steps, and what each of them asks for, done in order.

import Base
import Control
import Formats
import Membership
import Replication
import Simulator

extension ClusterWorld {
  /// Puts the first records of all shards, and starts clients and operator.
  func prepareOwnership() {
    guard let ownership else { return }
    for shard in ownership.plan.shards {
      let voters = VoterSet(goal: shard.goal, voters: shard.voters.map { voter($0) })
      let record = OwnershipRecord(account: shard.account, voters: voters)
      storeTransact([(record.key, record.encode(), 0)])
    }
    scheduler.put(.owner(.client), at: ClusterPlan.second)
    scheduler.put(.owner(.operate), at: ClusterPlan.second)
    putReplica(.checkpoint, at: ClusterPlan.second)
    prepareStreams()
  }

  func voter(_ number: Int) -> Voter { Voter(node: members[number].id, region: "r\(plan.regions[number])") }

  func startOwner(_ number: Int) {
    guard let ownership, ownership.owners[number].driver == nil else { return }
    let owner = ownership.owners[number]
    owner.driver = OwnershipDriver(
      OwnershipMachine(node: members[number].id, configuration: ownership.plan.configuration))
    ownership.checkers.promises.started(number, owner.promises)
    startReplicas(owner)
    ownerStep(number, .start(life: UInt64(members[number].life), promises: owner.promises.compactMap { $0 }))
  }

  /// Where everybody stands, at the end of a trace.
  func noteOwners() {
    guard isTraced, let ownership else { return }
    for owner in ownership.owners {
      for (i, shard) in ownership.plan.shards.enumerated() {
        let state = owner.driver?.machine.summary(shard.account) ?? "down"
        let title = owner.isGone ? "gone " : owner.isBroken ? "broken " : isPaused(owner.number) ? "paused " : ""
        note(
          "node \(owner.number) \(members[owner.number].id.shortName) \(title)shard \(i), disk "
            + "\(owner.replicas[i].log.place), main \(owner.replicas[i].main.position): \(state)")
        note("  \(owner.replicas[i].driver?.machine.summary ?? "no replica")")
      }
    }
  }

  func crashOwner(_ number: Int) {
    guard let ownership else { return }
    let owner = ownership.owners[number]
    guard owner.driver != nil else { return }
    if !owner.persisting.isEmpty { totals.note("crash before a promise was durable") }
    if owner.replicas.contains(where: { $0.lead != nil }) { totals.note("crash of a primary") }
    // What was on its way to the disk may have reached it all the same, in order.
    let kept = random.below(owner.persisting.count + 1)
    for promise in owner.persisting.prefix(kept) { keep(promise, owner) }
    owner.persisting = []
    for (shard, replica) in owner.replicas.enumerated() {
      if replica.log.hasUnsynced { totals.note("crash before a record was durable") }
      replica.log.crash(&random)
      noteHeld(number, shard, from: 0)
    }
    owner.stopProcess()
    streamsDie(of: number)
  }

  func keep(_ promise: OwnershipPromise, _ owner: SimulatedOwner) {
    guard let ownership, let shard = ownership.shardNumbers[promise.account] else { return }
    owner.promises[shard] = promise
    check { () throws(Violation) in try ownership.checkers.promises.kept(owner.number, shard, promise) }
  }

  func ownerStep(_ number: Int, _ event: OwnershipEvent) {
    guard let owner = ownership?.owners[number], owner.driver != nil else { return }
    var port = OwnerPort()
    owner.driver?.step(event, at: members[number].now(now), on: &port)
    owner.outputs += port.outputs
    drain(owner)
  }

  func receiveOwner(_ number: Int, _ body: (inout OwnershipDriver, Instant, inout OwnerPort) -> Void) {
    guard let owner = ownership?.owners[number], var driver = owner.driver else { return }
    owner.driver = nil
    var port = OwnerPort()
    body(&driver, members[number].now(now), &port)
    owner.driver = driver
    owner.outputs += port.outputs
    drain(owner)
  }

  /// In the order of the effects, also of those that an effect brings about; the process may die between any two.
  func drain(_ owner: SimulatedOwner) {
    guard !owner.isDraining else { return }
    owner.isDraining = true
    defer { owner.isDraining = false }
    var next = 0
    while next < owner.outputs.count, owner.driver != nil, violation == nil {
      let output = owner.outputs[next]
      next += 1
      perform(output, owner)
      if effectCounts(owner.number) { return }
    }
    owner.outputs = []
  }

  private func perform(_ output: OwnerOutput, _ owner: SimulatedOwner) {
    guard let ownership else { return }
    let number = owner.number
    switch output {
    case .send(let bytes, let node):
      guard let to = numbers[node] else { return }
      note("\(number) -> \(to) \(describe(bytes))")
      check { () throws(Violation) in try ownership.checkers.sent(number, bytes, self) }
      sendOwner(bytes, from: number, to: to)
    case .store(let request, let ask): askStore(number, request, ask)
    case .persist(let promise):
      note("\(number) persists \(promise)")
      owner.persisting.append(promise)
      scheduler.put(
        .owner(.persisted(number, life: members[number].life, promise)), at: syncDone(number, after: lastSync[number]))
    case .perform(let effect):
      note("\(number) \(effect)")
      perform(effect, owner)
    case .timer(let instant):
      owner.timer += 1
      owner.isTimerDue = false
      scheduler.put(
        .owner(.timer(number, life: members[number].life, owner.timer)),
        at: members[number].clock.global(instant.nanoseconds))
    case .replica(let shard, let output): perform(output, owner, shard)
    }
  }

  /// When a sync that begins now is done: one after the other.
  func syncDone(_ number: Int, after last: Int64) -> Int64 {
    let time = members[number].syncTime
    let done = max(last, now + time / 2 + Int64(random.below(Int(time))))
    lastSync[number] = done
    return done
  }

  private func sendOwner(_ bytes: [UInt8], from: Int, to: Int) {
    guard let ownership else { return }
    if isMuffled(bytes, from: from, to: to) { return note("lost") }
    if ownership.plan.corruptPermille > random.below(1000) {
      // The seal refuses it; what reads it may at least not trap.
      var damaged = bytes
      damaged[random.below(damaged.count)] ^= 1 << UInt8(random.below(8))
      _ = try? OwnershipMessage(damaged)
      totals.note("datagram corrupted")
      return
    }
    for arrival in network.datagram(from: from, to: to, at: now) {
      scheduler.put(.owner(.message(to: to, from: from, bytes)), at: arrival)
    }
  }

  private func describe(_ bytes: [UInt8]) -> String { (try? OwnershipMessage(bytes)).map { "\($0)" } ?? "unreadable" }

  func happen(_ event: OwnerEvent) {
    guard let ownership else { return }
    if let node = event.node {
      guard members[node].isUp, ownership.owners[node].driver != nil else { return }
      if isPaused(node) { return hold(event, node, ownership.owners[node]) }
    }
    deliver(event, ownership)
  }

  /// Timers are due when the process goes on; a socket's buffer is finite, a stream's end waits.
  private func hold(_ event: OwnerEvent, _ node: Int, _ owner: SimulatedOwner) {
    switch event {
    case .timer(_, let life, let serial):
      if life == members[node].life, serial == owner.timer { owner.isTimerDue = true }
    case .replica(.timer(_, let life, let shard, let serial)):
      if life == members[node].life, serial == owner.replicas[shard].timer { owner.replicas[shard].isTimerDue = true }
    case .message: if members[node].inbox.count < 500 { members[node].inbox.append(.owner(event)) }
    default: members[node].inbox.append(.owner(event))
    }
  }

  /// After a pause: the timer before the sockets.
  func resumeOwner(_ number: Int) {
    guard let owner = ownership?.owners[number] else { return }
    if owner.isTimerDue {
      owner.isTimerDue = false
      ownerStep(number, .tick)
    }
    resumeReplicas(owner)
  }

  private func deliver(_ event: OwnerEvent, _ ownership: OwnershipState) {
    switch event {
    case .timer(let n, let life, let serial):
      guard life == members[n].life, serial == ownership.owners[n].timer else { return }
      ownerStep(n, .tick)
    case .message(let to, let from, let bytes):
      let sender = members[from].id
      receiveOwner(to) { $0.receive(bytes, from: sender, now: $1, on: &$2) }
    case .answer(let n, let life, let request, let answer):
      guard life == members[n].life else { return }
      receive(answer, to: request, n)
    case .persisted(let n, let life, let promise):
      guard life == members[n].life, let owner = self.ownership?.owners[n] else { return }
      keep(promise, owner)
      if !owner.persisting.isEmpty { owner.persisting.removeFirst() }
      ownerStep(n, .persisted(promise))
    case .replica(let event):
      if let (node, life) = event.owner, let life, life != members[node].life { return }
      happen(event)
    case .write(let n, let shard, let id): write(n, shard, id)
    case .read(let n, let shard, let began, let acknowledged): read(n, shard, began, acknowledged)
    case .readEnds(let n, let life, let shard, let epoch, let pin, let began, let acknowledged):
      guard life == members[n].life else { return }
      endRead(n, shard, epoch, pin, began, acknowledged)
    case .storeArrival(let n, let life, let request, let ask): arriveAtStore(n, life, request, ask)
    case .watchDelivery(let n, let life, let request, let changes): deliverWatch(n, life, request, changes)
    case .client: client()
    case .operate: operate()
    case .coup(let shard, let time): if !ownership.isHealed { _ = coup(shard, time) }
    case .isolate(let n, let time): if !ownership.isHealed { isolate(n, time) }
    case .calm: if !ownership.isHealed { network.conditions = plan.conditions }
    case .stall(let n, let isStalled): ownerStep(n, .stalled(isStalled))
    case .storeBack: break
    case .storeHealed(let nodes): for n in nodes { ownership.storeCuts[n] = max(0, ownership.storeCuts[n] - 1) }
    }
  }
}
