// What the log, the writer and the reader of a shard ask. None of these changes anything.

package import Base
package import Formats

extension OwnershipMachine {
  package func record(_ account: AccountID) -> OwnershipRecord? { shard(account)?.record }

  /// The epoch in which this node is primary and takes writes.
  package func writableEpoch(_ account: AccountID) -> Epoch? {
    guard case .serving(let epoch)? = shard(account)?.lead else { return nil }
    return epoch
  }

  /// The epoch in which this node is primary and has committed a record of its own: what a read pins first.
  package func servingEpoch(_ account: AccountID) -> Epoch? {
    switch shard(account)?.lead {
    case .serving(let epoch), .ending(let epoch, _, _): epoch
    default: nil
    }
  }

  /// The epoch that this node leads, served or not.
  package func leadingEpoch(_ account: AccountID) -> Epoch? { shard(account)?.lead.epoch }

  /// May what was pinned under `epoch` be shown? Asked after the pin: no other primary can have acknowledged anything
  /// before `now`.
  package func mayServe(_ account: AccountID, _ epoch: Epoch, at now: Instant) -> Bool {
    guard servingEpoch(account) == epoch, let i = shardPlaces[account], let record = shards[i].record else {
      return false
    }
    return configuration.plantedBugs.contains(.dropLeaseCheck) || hasLeases(i, record, epoch, now)
  }

  /// Who grants a lease on what this node leads of the shard, itself included; whether a node's lease still runs is for
  /// `lease(of:)` to say. When these change, a message or an effect has said so.
  package func granters(_ account: AccountID) -> [NodeID] {
    guard let shard = shard(account), let record = shard.record, let epoch = shard.lead.epoch else { return [] }
    return record.electors.filter { voter in
      if voter == node { return shard.vote == .settled(epoch) && !shard.isDamaged }
      return peerPlaces[voter].map { peers[$0].accepted[account] } == epoch
    }
  }

  /// The lease that a node granted to this one, and the process that did; nil when nothing was heard of it.
  package func lease(of node: NodeID) -> (until: Instant, life: UInt64)? {
    peerPlaces[node].map { (peers[$0].leaseUntil, peers[$0].life) }
  }

  /// May a record of `epoch` be stored here? As a voter that adopted exactly this epoch; as a learner, unless it is old.
  package func mayStore(_ account: AccountID, _ epoch: Epoch) -> Bool {
    guard let shard = shard(account), let record = shard.record else { return false }
    if record.counts(node) { return shard.vote == .settled(epoch) && !shard.isDamaged && shard.isExamined }
    return record.learners.contains { $0.node == node } && record.epoch == epoch
  }

  /// May this node say that it has synced records of `epoch`?
  package func mayAcknowledge(_ account: AccountID, _ epoch: Epoch) -> Bool {
    guard let shard = shard(account), let record = shard.record else { return false }
    guard record.counts(node) else { return mayStore(account, epoch) }
    return mayStore(account, epoch) && shard.promise.epoch == epoch && shard.promise.floor > .start
  }

  /// Do these nodes make a write set, of both sets while voters change?
  package func isWriteSet(_ account: AccountID, _ nodes: Set<NodeID>) -> Bool {
    guard let record = shard(account)?.record else { return false }
    return configuration.plantedBugs.contains(.ignorePrevious)
      ? record.voterSet.isWriteSet(nodes) : record.isWriteSet(nodes)
  }

  package func isDamaged(_ account: AccountID) -> Bool { shard(account)?.isDamaged ?? false }

  /// One line about a shard, for status pages and traces.
  package func summary(_ account: AccountID) -> String {
    guard let shard = shard(account) else { return "unknown" }
    return "vote \(shard.vote), lead \(shard.lead), r\(shard.revision), request \(shard.request.map { "\($0)" } ?? "-")"
      + (shard.isDamaged ? ", damaged" : "") + ", \(shard.record.map { "\($0)" } ?? "no record"), store \(store.phase)"
  }

  private func shard(_ account: AccountID) -> OwnedShard? { shardPlaces[account].map { shards[$0] } }

  /// Unexpired grants, its own included, from a write set.
  func hasLeases(_ i: Int, _ record: OwnershipRecord, _ epoch: Epoch, _ now: Instant) -> Bool {
    var granters: Set<NodeID> = []
    if record.counts(node), shards[i].vote == .settled(epoch), !shards[i].isDamaged { granters.insert(node) }
    for voter in record.electors where voter != node {
      guard let p = peerPlaces[voter], peers[p].leaseUntil > now, peers[p].accepted[shards[i].account] == epoch else {
        continue
      }
      granters.insert(voter)
    }
    return isWriteSet(shards[i].account, granters)
  }
}
