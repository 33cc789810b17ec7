// The replicas of a node: their steps, and what each of them asks for, done in order.

import Base
import Control
import Formats
import Replication
import Simulator

extension ClusterWorld {
  func account(_ shard: Int) -> AccountID { ownership!.plan.shards[shard].account }

  func replica(_ number: Int, _ shard: Int) -> SimulatedReplica { ownership!.owners[number].replicas[shard] }

  func life(_ number: Int) -> Int { members[number].life }

  /// The process begins with what its disk has.
  func startReplicas(_ owner: SimulatedOwner) {
    guard let ownership else { return }
    for (shard, replica) in owner.replicas.enumerated() {
      let tail = Array(replica.log.durable(from: replica.main.position.index + 1))
      check { () throws(Violation) in try CheckpointChecker.check(shard, owner.number, replica.main.position, tail) }
      replica.state = replica.main
      replica.driver = ReplicationDriver(
        ReplicaMachine(
          node: members[owner.number].id, account: account(shard),
          configuration: ownership.plan.replication.configuration,
          standing: ReplicaStanding(
            committed: replica.main.position, tail: tail, reached: replica.log.reached)))
    }
  }

  func replicaStep(_ number: Int, _ shard: Int, _ event: ReplicationEvent) {
    guard let owner = ownership?.owners[number], let machine = owner.driver?.machine,
      let driver = owner.replicas[shard].driver
    else { return }
    let local = members[number].now(now)
    let vouches = driver.machine.leading.map { machine.mayServe(account(shard), $0, at: local) } ?? false
    var port = ReplicaPort(shard: shard, vouches: vouches)
    owner.replicas[shard].driver?.step(event, at: local, on: &port)
    owner.outputs += port.outputs
    drain(owner)
  }

  func perform(_ output: ReplicaOutput, _ owner: SimulatedOwner, _ shard: Int) {
    let number = owner.number
    switch output {
    case .send(let bytes, let node):
      guard let ownership, let to = numbers[node] else { return }
      if let message = try? ReplicationMessage(bytes) {
        note("\(number) => \(to) shard \(shard) \(message)")
        check { () throws(Violation) in try ownership.checkers.sent(number, shard, message, owner) }
      }
      sendOnStream(bytes, from: number, to: to)
    case .timer(let instant):
      let replica = owner.replicas[shard]
      replica.timer += 1
      replica.isTimerDue = false
      putReplica(
        .timer(number, life: life(number), shard: shard, replica.timer),
        at: members[number].clock.global(instant.nanoseconds))
    case .effect(let effect):
      note("\(number) shard \(shard) \(effect)")
      perform(effect, number, shard)
    }
  }

  private func perform(_ effect: ReplicationEffect, _ number: Int, _ shard: Int) {
    let id = account(shard)
    switch effect {
    case .store(let records): writeLog(number, shard, records)
    case .cut(let position):
      putReplica(
        .cutDone(number, life: life(number), shard: shard, position), at: now + Int64(random.below(3_000_000)))
    case .demand(let ids, let source): demand(number, shard, ids, from: source)
    case .read(let node, let from, _):
      putReplica(
        .logRead(number, life: life(number), shard: shard, for: node, from: from),
        at: now + Int64(random.below(2_000_000)))
    case .publish(let position): publish(number, shard, position)
    case .rebase: totals.note("base offered")
    case .needBase(let source): needBase(number, shard, from: source)
    case .fenced(let epoch, let place): ownerStep(number, .fenced(id, epoch, place))
    case .synced(let place): ownerStep(number, .synced(id, place))
    case .committed(let epoch):
      totals.note("first record of an epoch committed")
      ownerStep(number, .committed(id, epoch))
    case .epochFinished(let epoch):
      totals.note("hand-over finished")
      ownerStep(number, .epochFinished(id, epoch))
    case .acknowledged(let places): ownerStep(number, .acknowledged(id, places))
    case .localWriteFailed: ownerStep(number, .localWriteFailed(id))
    case .damaged(let why): damaged(number, shard, why)
    case .send, .setTimer: break
    }
  }

  /// What ownership wants done to a log.
  func perform(_ effect: OwnershipEffect, _ owner: SimulatedOwner) {
    guard let ownership else { return }
    let number = owner.number
    func shard(_ account: AccountID) -> Int { ownership.shardNumbers[account] ?? 0 }
    switch effect {
    case .fence(let account, let epoch):
      let i = shard(account)
      if let lead = owner.replicas[i].lead, lead.epoch < epoch { owner.replicas[i].lead = nil }
      replicaStep(number, i, .fence(epoch))
    case .configure(let record): replicaStep(number, shard(record.account), .configure(record))
    case .follow(let account, let epoch): replicaStep(number, shard(account), .follow(epoch))
    case .acknowledge(let account, let epoch): replicaStep(number, shard(account), .acknowledge(epoch))
    case .lead(let record): lead(number, shard(record.account), record.epoch)
    case .stop(let account, let epoch):
      owner.replicas[shard(account)].lead = nil
      replicaStep(number, shard(account), .stop(epoch))
    case .serving(let account, let epoch): beginService(number, shard(account), epoch)
    case .finishEpoch(let account, let epoch, let successor):
      owner.replicas[shard(account)].lead?.takesWrites = false
      replicaStep(number, shard(account), .finish(epoch, successor: successor))
    case .resumeEpoch(let account, let epoch): resume(number, shard(account), epoch)
    case .damaged: totals.note("damaged log noticed")
    case .send, .request, .persist, .setTimer: break
    }
  }

  /// Its log or its pages contradict what must be: it takes no part in this shard until it is replaced.
  func damaged(_ number: Int, _ shard: Int, _ why: String) {
    guard let owner = ownership?.owners[number] else { return }
    totals.note("damaged replica noticed")
    check { () throws(Violation) in
      guard owner.isBroken else { throw Violation(checker: "damage", message: "\(number) of shard \(shard): \(why)") }
    }
    let leads = owner.replicas[shard].lead != nil
    owner.replicas[shard].stopProcess()
    if leads { ownerStep(number, .localWriteFailed(account(shard))) }
  }

  func happen(_ event: ReplicaEvent) {
    switch event {
    case .timer(let n, _, let shard, let serial):
      if serial == replica(n, shard).timer { replicaStep(n, shard, .tick) }
    case .logSynced(let n, _, let shard, let serial): logSynced(n, shard, serial)
    case .cutDone(let n, _, let shard, let position): cutDone(n, shard, position)
    case .logRead(let n, _, let shard, let node, let from): logRead(n, shard, for: node, from: from)
    case .epochRecord(let n, _, let shard, let epoch): beginEpoch(n, shard, epoch)
    case .part(let n, _, let shard, let epoch, let id): appendPart(n, shard, epoch, id)
    case .uploaded(let n, _, let shard, let epoch, let group): uploaded(n, shard, epoch, group)
    case .fetch(let n, _, let shard, let ids, let from, let epoch): fetch(n, shard, ids, from: from, epoch)
    case .fetched(let n, _, let shard, let ids):
      replica(n, shard).recordings.formUnion(ids)
      replicaStep(n, shard, .available(ids))
    case .flushed(let n, _, let shard, let state): flushed(n, shard, state)
    case .base(let n, _, let shard, let from, let epoch): takeBase(n, shard, from: from, epoch)
    case .baseSynced(let n, _, let shard, let base): baseSynced(n, shard, base)
    case .standbyRead(let n, let shard, let bound, let tries): standbyRead(n, shard, bound, tries)
    case .message(let to, _, let from, let generation, let bytes): arrives(to, from, generation, bytes)
    case .peerUp(let n, _, let peer): tellPeer(n, .peerUp(members[peer].id))
    case .peerDown(let n, _, let peer): tellPeer(n, .peerDown(members[peer].id))
    case .stall(let a, let b, let generation): stalled(a, b, generation)
    case .broken(let a, let b, let generation): breakStream(a, b, generation)
    case .connect(let a, let b): connect(a, b)
    case .checkpoint: checkpoint()
    }
  }

  private func tellPeer(_ number: Int, _ event: ReplicationEvent) {
    guard let owner = ownership?.owners[number] else { return }
    for shard in owner.replicas.indices { replicaStep(number, shard, event) }
  }

  /// After a pause: the timers before the sockets.
  func resumeReplicas(_ owner: SimulatedOwner) {
    for (shard, replica) in owner.replicas.enumerated() where replica.isTimerDue {
      replica.isTimerDue = false
      replicaStep(owner.number, shard, .tick)
    }
  }
}
