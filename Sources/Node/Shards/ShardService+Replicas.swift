// Replicas: their machines, what these want of the engine, and what the engine says of their logs.

import Base
import Control
import Formats
import Logging
import Replication
import ShardStore

extension ShardService {
  // MARK: events

  func step(_ replica: ShardReplica, _ event: ReplicationEvent) {
    guard !isOver else { return }
    guard replica.driver != nil else {
      switch event {
      // What concerns a stream or a moment that will be over when there is a log.
      case .message, .tick, .peerUp, .peerDown, .refresh: return
      default: return replica.early.append(event)
      }
    }
    var port = ShardReplicaPort(service: self, replica: replica)
    replica.driver!.step(event, at: Self.now, on: &port)
    for output in port.outputs { put(output) }
    let freshness = replica.driver!.machine.freshness
    if freshness != replica.freshness {
      replica.freshness = freshness
      table.refresh(replica.account, freshness)
    }
    drain()
  }

  func heard(_ message: ReplicationMessage, from sender: NodeID) {
    guard let replica = replicas[message.account], replica.driver != nil else { return }
    guard !replica.unnamed.isEmpty || message.namesRecordings else {
      return step(replica, .message(message, from: sender))
    }
    replica.unnamed.append((message, sender))
    if replica.unnamed.count == 1 { Task { await self.readNames(replica) } }
  }

  /// Which recordings a record names stands under its seal, so the engine reads it; what comes later waits.
  private func readNames(_ replica: ShardReplica) async {
    while let (message, sender) = replica.unnamed.first {
      var names: [LogIndex: [RecordingID]]? = [:]
      for record in message.records where record.header.kind == .recordings {
        names?[record.header.index] = try? await setup.engine.recordings(namedBy: record)
        if names?[record.header.index] == nil {
          // It will be sent again; until its key is known here it cannot be read.
          names = nil
          break
        }
      }
      replica.unnamed.removeFirst()
      if let names { step(replica, .message(message, from: sender, naming: names)) }
    }
  }

  func line(to node: NodeID, isUp: Bool) {
    if isUp { linesUp.insert(node) } else { linesUp.remove(node) }
    for account in byPeer[node] ?? [] {
      guard let replica = replicas[account] else { continue }
      step(replica, isUp ? .peerUp(node) : .peerDown(node))
    }
  }

  /// What the engine's threads have told, in its order.
  func takeMail() {
    var mails = mailbox.take()[...]
    while let mail = mails.popFirst() {
      guard let replica = replicas[mail.account] else { continue }
      switch mail.note {
      case .appended(var records):
        while let next = mails.first, next.account == mail.account, case .appended(let more) = next.note {
          records += more
          mails = mails.dropFirst()
        }
        owe(replica, records)
        step(replica, .appended(records))
      case .synced(let position):
        lastSync = Self.now
        if position.index >= replica.handed { unsynced[mail.account] = nil }
        step(replica, .synced(position))
      case .failed(let end):
        replica.handed = end.index
        unsynced[mail.account] = nil
        step(replica, .failed(end))
      }
    }
  }

  private func owe(_ replica: ShardReplica, _ records: [SealedRecord]) {
    replica.handed = records.last?.header.index ?? replica.handed
    if unsynced[replica.account] == nil { unsynced[replica.account] = Self.now }
  }

  // MARK: effects

  func perform(_ effect: ReplicationEffect, of replica: ShardReplica) {
    let account = replica.account
    switch effect {
    case .store(let records):
      setup.engine.store(account, records)
    case .publish(let position): setup.engine.publish(account, upTo: position)
    case .cut(let position): inTurn(replica, .cut(position))
    case .read(let node, let from, let bytesMax): read(replica, for: node, from: from, bytesMax: bytesMax)
    case .demand(let ids, let node): demand(replica, ids, from: node)
    case .rebase(let node):
      logger.info("a replica needs a base", metadata: ["shard": "\(account)", "node": "\(node)"])
    case .needBase(let node): fetchBase(replica, from: node)
    case .fenced(let epoch, let place): step(.fenced(account, epoch, place))
    case .synced(let place): step(.synced(account, place))
    case .committed(let epoch): step(.committed(account, epoch))
    case .epochFinished(let epoch): step(.epochFinished(account, epoch))
    case .acknowledged(let places): step(.acknowledged(account, places))
    case .localWriteFailed: step(.localWriteFailed(account))
    case .damaged(let why): alarm(account, why)
    case .send, .setTimer: break
    }
  }

  private func read(_ replica: ShardReplica, for node: NodeID, from: LogIndex, bytesMax: Int) {
    let (engine, account) = (setup.engine, replica.account)
    Task {
      while self.replicas[account] != nil {
        do {
          let records = try await engine.records(account, from: from, bytesMax: bytesMax)
          return self.hasRead(account, for: node, from: from, records)
        } catch {
          // A disk that is slow or full of requests; a log that is damaged says so elsewhere.
          self.logger.warning("records cannot be read", metadata: ["shard": "\(account)", "reason": "\(error)"])
          try? await Task.sleep(for: .milliseconds(200))
        }
      }
    }
  }

  private func hasRead(_ account: AccountID, for node: NodeID, from: LogIndex, _ records: [SealedRecord]?) {
    guard let replica = replicas[account] else { return }
    step(replica, .read(for: node, from: from, records))
  }

  // MARK: steps that wait for the engine

  func inTurn(_ replica: ShardReplica, _ step: ShardReplica.Step) {
    replica.steps.append(step)
    work(replica)
  }

  private func work(_ replica: ShardReplica) {
    while !replica.isWaiting, !replica.steps.isEmpty {
      let next = replica.steps.removeFirst()
      switch next {
      case .event(let event): step(replica, event)
      case .stop:
        setup.engine.stopLeading(replica.account)
        takeMail()
      case .resume(let epoch):
        guard replica.paused == epoch else { continue }
        (replica.paused, replica.holdsStop) = (nil, false)
        setup.engine.resumeWriter(replica.account)
      case .load, .lead, .pause, .cut:
        replica.isWaiting = true
        Task {
          await self.engage(replica, next)
          replica.isWaiting = false
          self.work(replica)
        }
      }
    }
  }

  private func engage(_ replica: ShardReplica, _ step: ShardReplica.Step) async {
    switch step {
    case .load: await load(replica)
    case .lead(let epoch): await lead(replica, epoch)
    case .pause(let epoch, let then): await pause(replica, epoch, then)
    case .cut(let position): await cut(replica, position)
    case .event, .stop, .resume: break
    }
  }

  private func lead(_ replica: ShardReplica, _ epoch: Epoch) async {
    guard ownership.machine.leadingEpoch(replica.account) == epoch else { return }
    do {
      try await setup.engine.lead(replica.account, epoch: epoch)
    } catch {
      logger.error(
        "cannot lead", metadata: ["shard": "\(replica.account)", "epoch": "\(epoch)", "reason": "\(error)"])
      // The first failure is told at once. A disk that goes on failing must not burn epochs as fast as they can be made.
      let wait = replica.leadFailures == 0 ? 0 : min(leadRetryMilliseconds << min(replica.leadFailures, 10), 10_000)
      replica.leadFailures += 1
      Task {
        try? await Task.sleep(for: .milliseconds(wait))
        guard ownership.machine.leadingEpoch(replica.account) == epoch else { return }
        step(.localWriteFailed(replica.account))
      }
    }
  }

  private var leadRetryMilliseconds: Int { 20 }

  private func pause(_ replica: ShardReplica, _ epoch: Epoch, _ then: @Sendable () -> Void) async {
    if ownership.machine.leadingEpoch(replica.account) == epoch {
      do {
        try await setup.engine.pauseWriter(replica.account)
        // An epoch that ended meanwhile is stopped by the step that follows.
        if ownership.machine.leadingEpoch(replica.account) == epoch { replica.paused = epoch }
        takeMail()
      } catch {
        logger.warning("the writer cannot be paused", metadata: ["shard": "\(replica.account)", "reason": "\(error)"])
      }
    }
    then()
  }

  /// Tried again, on a full disk for example: until it is done the replica stores nothing.
  private func cut(_ replica: ShardReplica, _ position: Position) async {
    while replicas[replica.account] === replica {
      do {
        try await setup.engine.cut(replica.account, after: position)
        unsynced[replica.account] = nil
        return step(replica, .cutDone(position))
      } catch {
        alarm(replica.account, "what follows \(position) cannot be cut away: \(error)")
        if (error as? StoreError)?.code == .damaged { return table.damage(replica.account) }
        try? await Task.sleep(for: .seconds(1))
      }
    }
  }
}

extension ReplicationMessage {
  var records: [SealedRecord] { if case .append(let append) = self { append.records } else { [] } }
  var namesRecordings: Bool { records.contains { $0.header.kind == .recordings } }
}

/// Collects what a step of a replica wants done.
struct ShardReplicaPort: ReplicationPort {
  let service: ShardService
  let replica: ShardReplica
  var outputs: [ShardService.Output] = []

  mutating func send(_ message: [UInt8], to node: NodeID) { outputs.append(.letter(replica.account, message, node)) }
  mutating func mayVouch(_ account: AccountID, _ epoch: Epoch) -> Bool {
    service.table.mayServe(account, epoch, at: ShardService.now)
  }
  mutating func perform(_ effect: ReplicationEffect, _ account: AccountID) { outputs.append(.replica(replica, effect)) }
  mutating func setTimer(_ instant: Instant, _ account: AccountID) { outputs.append(.replicaTimer(replica, instant)) }
}
