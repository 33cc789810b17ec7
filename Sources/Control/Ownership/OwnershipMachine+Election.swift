// How a shard gets another primary: who may be gone, compare-and-set 1 (a new epoch without a primary), the reports of
// its voters, and compare-and-set 2 (the voter whose log reaches farthest).
//
// Any voter may do any step; ranks keep them from all doing it at once.

import Base
import Formats

extension OwnershipMachine {
  mutating func take(_ hint: OwnershipHint, about node: NodeID, _ now: Instant) {
    guard node != self.node else { return }
    let patience =
      switch hint {
      case .refused: configuration.refusedPatience
      case .closed: configuration.closedPatience
      case .suspect: configuration.suspectPatience
      case .dead: configuration.deadPatience
      }
    let p = peerPlace(of: node)
    let instant = min(now + patience, peers[p].suspectAt ?? now + patience)
    peers[p].suspectAt = instant
    wakeBy(instant)
  }

  /// As a voter: is the primary still there, and does it lead this shard?
  mutating func watchPrimary(_ i: Int, _ record: OwnershipRecord, _ now: Instant) {
    guard let primary = record.primary else { return }
    let shard = shards[i]
    let peer = peerPlaces[primary].map { peers[$0] } ?? OwnershipPeer(node: primary)
    let lapse = min(configuration.lapse * (1 << min(shard.attempts, 6)), configuration.lapseMax)
    var verdict = max(peer.beatAt, shard.seenAt) + lapse
    if let suspectAt = peer.suspectAt {
      verdict = min(verdict, max(suspectAt, shard.seenAt + configuration.deadPatience))
    }
    if shard.grants[primary] != record.epoch {
      verdict = min(verdict, shard.seenAt + configuration.claimPatience + lapse)
    }
    if shard.isReleased { verdict = min(verdict, now) }
    verdict = verdict + configuration.electionStagger * rank(in: record, without: primary)
    guard now >= verdict else {
      if verdict < now + configuration.beatPeriod { wakeBy(verdict) }
      return
    }
    if askNewEpoch(i, now) { shards[i].attempts += 1 }
  }

  private func rank(in record: OwnershipRecord, without primary: NodeID?) -> Int {
    record.electors.filter { $0 != primary }.firstIndex(of: node) ?? 0
  }

  /// Compare-and-set 1. False when it cannot be asked for at this moment.
  @discardableResult
  mutating func askNewEpoch(_ i: Int, _ now: Instant) -> Bool {
    guard var record = shards[i].record, record.epoch < OwnershipLimits.epochMax else { return false }
    record.epoch += 1
    record.primary = nil
    guard propose(i, record, now) else { return false }
    counters.epochsAsked += 1
    return true
  }

  /// Tells all voters where this one's log ended when it adopted the epoch.
  mutating func report(_ i: Int, _ record: OwnershipRecord, _ now: Instant) {
    guard var own = shards[i].reports[node], own.epoch == record.epoch, !isStalled else { return }
    own.at = now
    own.hears = mayPromote(record, Set(freshReports(i, record, now).keys))
    shards[i].reports[node] = own
    let claim = OwnershipClaim(account: record.account, epoch: record.epoch)
    let report = OwnershipMessage.Report(claim: claim, place: own.place, hears: own.hears)
    for voter in record.electors where voter != node { effects.append(.send(.reports([report]), to: voter)) }
  }

  mutating func receive(_ report: OwnershipMessage.Report, from sender: NodeID, _ now: Instant) {
    guard let i = shardPlaces[report.claim.account], let record = shards[i].record else { return }
    if report.claim.epoch > record.epoch { return hearEpoch(i, report.claim.epoch, now) }
    guard report.claim.epoch == record.epoch, record.counts(sender) else { return }
    shards[i].reports[sender] = OwnedShard.ReportHeard(
      epoch: record.epoch, place: report.place, hears: report.hears, at: now)
    guard record.primary == nil, shards[i].vote == .settled(record.epoch) else { return }
    let wasDeaf = shards[i].reports[node]?.hears == false
    if wasDeaf, mayPromote(record, Set(freshReports(i, record, now).keys)) { self.report(i, record, now) }
    advance(i, now)
  }

  private func freshReports(
    _ i: Int, _ record: OwnershipRecord, _ now: Instant
  ) -> [NodeID: OwnedShard.ReportHeard] {
    shards[i].reports.filter { node, report in
      report.epoch == record.epoch && (node == self.node || now - report.at <= configuration.reportLifetime)
        && (configuration.plantedBugs.contains(.ignoreDamage) || report.place >= shards[i].acknowledged[node] ?? .start)
    }
  }

  private func mayPromote(_ record: OwnershipRecord, _ reporters: Set<NodeID>) -> Bool {
    if configuration.plantedBugs.contains(.promoteWithTooFew) { return !reporters.isEmpty }
    if configuration.plantedBugs.contains(.ignorePrevious) { return record.voterSet.mayPromote(reporters) }
    return record.mayPromote(reporters)
  }

  /// Compare-and-set 2, when the reports are enough.
  mutating func tryPromote(_ i: Int, _ record: OwnershipRecord, _ now: Instant) {
    var fresh = freshReports(i, record, now)
    guard mayPromote(record, Set(fresh.keys)) else {
      shards[i].promotableSince = nil
      return
    }
    let since = shards[i].promotableSince ?? now
    shards[i].promotableSince = since
    var winner = best(fresh, record)
    if let deaf = winner, deaf != node, fresh[deaf]?.hears == false {
      guard now >= since + configuration.deafPatience else { return wakeBy(since + configuration.deafPatience) }
      fresh = fresh.filter { $0.key == node || $0.value.hears }
      winner = mayPromote(record, Set(fresh.keys)) ? best(fresh, record) : nil
    }
    guard let winner else { return }
    if winner != node {
      let turn = since + configuration.promotionStagger * (1 + rank(in: record, without: winner))
      guard now >= turn else { return wakeBy(turn) }
    }
    var named = record
    named.primary = winner
    if propose(i, named, now) { counters.primariesNamed += 1 }
  }

  /// The greatest place; of equal ones a voter that stays, then the least id.
  private func best(_ reports: [NodeID: OwnedShard.ReportHeard], _ record: OwnershipRecord) -> NodeID? {
    let staying = record.voterSet
    return reports.keys.sorted().max { a, b in
      guard let x = reports[a], let y = reports[b] else { return false }
      if configuration.plantedBugs.contains(.longestNotNewest), x.place.index != y.place.index {
        return x.place.index < y.place.index
      }
      if x.place != y.place { return x.place < y.place }
      if staying.contains(a) != staying.contains(b) { return staying.contains(b) }
      return a > b
    }
  }
}
