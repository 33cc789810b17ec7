// What ownership wants of the logs, and what the table must know of it.

import Base
import Control
import Fabric
import Formats
import Logging
import Replication

extension ShardService {
  func perform(_ effect: OwnershipEffect) {
    switch effect {
    case .fence(let account, let epoch): inTurn(replica(account), .event(.fence(epoch)))
    case .configure(let record): configure(record)
    case .follow(let account, let epoch): inTurn(replica(account), .event(.follow(epoch)))
    case .acknowledge(let account, let epoch): inTurn(replica(account), .event(.acknowledge(epoch)))
    case .lead(let record):
      let replica = replica(record.account)
      inTurn(replica, .event(.lead(record.epoch)))
      inTurn(replica, .lead(record.epoch))
    case .stop(let account, let epoch): stop(replica(account), epoch)
    case .finishEpoch(let account, let epoch, let successor): finish(account, epoch, successor)
    case .resumeEpoch(let account, let epoch):
      inTurn(replica(account), .event(.resume(epoch)))
      inTurn(replica(account), .resume(epoch))
      if ownership.machine.servingEpoch(account) == epoch { serve(account, epoch) }
      tellEnding(account)
    case .serving(let account, let epoch):
      logger.info("leads", metadata: ["shard": "\(account)", "epoch": "\(epoch)"])
      replicas[account]?.leadFailures = 0
      serve(account, epoch)
    case .damaged(let account): alarm(account, "its log lost records that it may have acknowledged")
    case .send, .request, .persist, .setTimer: break
    }
  }

  func replica(_ account: AccountID) -> ShardReplica {
    if let replica = replicas[account] { return replica }
    let replica = ShardReplica(account)
    replicas[account] = replica
    return replica
  }

  // MARK: records

  private func configure(_ record: OwnershipRecord) {
    table.configure(record)
    tellEnding(record.account)
    guard record.names(setup.node) || replicas[record.account] != nil else { return }
    let replica = replica(record.account)
    tie(replica, to: record)
    if replica.holdsStop, let paused = replica.paused, record.epoch > paused { releaseStop(replica) }
    if record.names(setup.node), replica.driver == nil, !replica.isLoading {
      replica.isLoading = true
      inTurn(replica, .load)
    }
    inTurn(replica, .event(.configure(record)))
  }

  /// Knows whom it speaks with, and has lines to them.
  private func tie(_ replica: ShardReplica, to record: OwnershipRecord?) {
    let before = replica.record?.names(setup.node) == true ? Set(replica.peers(but: setup.node)) : []
    replica.record = record
    let after = record?.names(setup.node) == true ? Set(replica.peers(but: setup.node)) : []
    for node in before.subtracting(after) {
      byPeer[node]?.remove(replica.account)
      if byPeer[node]?.isEmpty == true { byPeer[node] = nil }
      step(replica, .peerDown(node))
    }
    for node in after.subtracting(before) {
      byPeer[node, default: []].insert(replica.account)
      links.assumeIsolated { $0.want(node) }
      // A line that other shards have already will not say again that it is up.
      if linesUp.contains(node) { step(replica, .peerUp(node)) }
    }
  }

  /// All records were read: who is not among them is gone.
  func forgetMissing(_ keys: Set<String>) {
    for record in table.records() where !keys.contains(record.key) && ownership.machine.record(record.account) == nil {
      forget(record.account)
    }
  }

  /// The account's record is gone. What the engine has of it stays: whoever deletes accounts says so to the engine.
  func forget(_ account: AccountID) {
    table.remove(account)
    unsynced[account] = nil
    guard let replica = replicas.removeValue(forKey: account) else { return }
    tie(replica, to: nil)
    replica.timer = nil
    replica.driver = nil
    setup.engine.stopLeading(account)
  }

  // MARK: ends of epochs

  /// The machine ends its term at once; the engine in its turn, and not yet when the epoch may still go on.
  private func stop(_ replica: ShardReplica, _ epoch: Epoch) {
    table.serve(replica.account, nil)
    unsynced[replica.account] = nil
    logger.info("leads no more", metadata: ["shard": "\(replica.account)", "epoch": "\(epoch)"])
    if replica.paused == epoch {
      replica.holdsStop = true
      takeMail()
      return step(replica, .stop(epoch))
    }
    if !replica.isWaiting {
      setup.engine.stopLeading(replica.account)
      takeMail()
      return step(replica, .stop(epoch))
    }
    step(replica, .stop(epoch))
    inTurn(replica, .stop)
  }

  /// Another epoch has begun: the paused one does not go on.
  func releaseStop(_ replica: ShardReplica) {
    replica.holdsStop = false
    replica.paused = nil
    inTurn(replica, .stop)
  }

  private func finish(_ account: AccountID, _ epoch: Epoch, _ successor: NodeID) {
    let replica = replica(account)
    inTurn(
      replica,
      .pause(epoch) { [weak self] in
        self?.assumeIsolated { service in
          // Without a paused writer the hand-over runs out of time, and the epoch goes on.
          guard service.replica(account).paused == epoch else { return }
          service.step(service.replica(account), .finish(epoch, successor: successor))
        }
      })
  }

  // MARK: the table

  private func serve(_ account: AccountID, _ epoch: Epoch) { table.serve(account, epoch, granters(account)) }

  private func granters(_ account: AccountID) -> [ShardTable.Granter] {
    ownership.machine.granters(account).map { node in
      ShardTable.Granter(node: node, life: ownership.machine.lease(of: node)?.life ?? 0)
    }
  }

  /// What a message of a peer may have changed: its lease, and the claims that it names.
  func noteLease(of node: NodeID, _ message: OwnershipMessage) {
    if let lease = ownership.machine.lease(of: node) {
      table.lease(node, ShardTable.Lease(until: lease.until, life: lease.life))
    }
    guard case .reply(let reply) = message else { return }
    for claim in reply.accepted + reply.ended { table.grant(claim.account, granters(claim.account)) }
  }

  func alarm(_ account: AccountID, _ why: String) {
    logger.error(
      "a replica is damaged and takes no part until it is built anew",
      metadata: ["shard": "\(account)", "reason": "\(why)"])
    // A disk that fails may get well again; what a machine calls damaged stays so in this life of the node.
    if isDamaged(account) { table.damage(account) }
  }

  func isDamaged(_ account: AccountID) -> Bool {
    replicas[account]?.driver?.machine.isDamaged == true || ownership.machine.isDamaged(account)
  }
}
