// What ownership says, and what it is told: epochs begin and end here.

import Base
import Formats

extension ReplicaMachine {
  mutating func configure(_ record: OwnershipRecord, _ now: Instant) {
    guard record.account == account else { return counters.strangerDrops += 1 }
    self.record = record
    let nodes = record.electors + record.learners.map(\.node).filter { !record.counts($0) }
    var next: [ReplicaPeer] = []
    for other in nodes where other != node {
      if let known = peers.first(where: { $0.node == other }) {
        next.append(known)
      } else {
        next.append(ReplicaPeer(node: other))
      }
    }
    peers = next
    for i in peers.indices where !peers[i].isUp && connected.contains(peers[i].node) { up(i, now) }
    // One of the voters before a change may have been elected in it, and leads on as none when it is over: an epoch that it
    // left could not be resumed after a hand-over that failed.
    if record.counts(node) || record.primary == node { return }
    // A learner needs nobody's leave: it counts for nothing.
    guard record.learners.contains(where: { $0.node == node }) else { return leaveEpoch() }
    if follow?.epoch != record.epoch {
      leaveEpoch()
      follow = ReplicaFollow(epoch: record.epoch, mayAcknowledge: true)
    }
  }

  mutating func follow(_ epoch: Epoch) {
    guard epoch >= fencedEpoch, follow?.epoch != epoch else { return }
    fencedEpoch = epoch
    leaveEpoch()
    follow = ReplicaFollow(epoch: epoch)
  }

  /// Nothing of the epoch that was followed is taken any more.
  private mutating func leaveEpoch() {
    follow = nil
    log.dropIntake()
  }

  mutating func fence(_ epoch: Epoch) {
    fencedEpoch = max(fencedEpoch, epoch)
    if let own = lead?.epoch, own < epoch { stop(own) }
    if let own = follow?.epoch, own < epoch, !configuration.plantedBugs.contains(.skipFence) { leaveEpoch() }
    effects.append(.fenced(epoch, log.reached))
  }

  mutating func permitAcknowledging(_ epoch: Epoch, _ now: Instant) {
    guard follow?.epoch == epoch, follow?.mayAcknowledge == false else { return }
    follow?.mayAcknowledge = true
    acknowledge(now)
  }

  mutating func begin(_ lead: ReplicaLead, _ now: Instant) {
    guard follow?.epoch == lead.epoch, lead.epoch >= fencedEpoch else { return counters.lateDrops += 1 }
    log.dropIntake()
    self.lead = lead
    endedLead = nil
    counters.leadsBegun += 1
    for i in peers.indices {
      peers[i].match = .start
      peers[i].echo = 0
      peers[i].wantsEcho = false
      peers[i].forget(next: log.end)
      // Records may follow at once: most logs are equal.
      if peers[i].isUp { ask(i, now) }
    }
  }

  mutating func resume(_ epoch: Epoch, _ now: Instant) {
    if lead?.epoch == epoch {
      lead?.successor = nil
    } else if var ended = endedLead, ended.epoch == epoch {
      ended.successor = nil
      begin(ended, now)
    }
  }

  mutating func stop(_ epoch: Epoch) {
    guard lead?.epoch == epoch else { return }
    endedLead = lead
    lead = nil
    commitTellAt = nil
    placesTellAt = nil
  }

  /// What ownership must know of this log's end: where an epoch begins in it, and everything until it may acknowledge.
  mutating func tellSynced() {
    let isNew = toldEpoch != log.synced.epoch
    guard isNew || follow?.mayAcknowledge == false, log.synced.index > 0 else { return }
    toldEpoch = log.synced.epoch
    effects.append(.synced(place(log.synced)))
  }

  func place(_ position: Position) -> LogPlace { ReplicaLog.place(position) }
}
