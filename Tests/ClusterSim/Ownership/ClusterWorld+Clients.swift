// Clients that ask without waiting for answers, and an operator who moves shards and replaces what is broken.

import Base
import Control
import Formats
import Simulator

extension ClusterWorld {
  /// One request each period, whatever becomes of it; clients reach every node always.
  func client() {
    guard let ownership else { return }
    let period = ownership.plan.clientPeriod
    scheduler.put(.owner(.client), at: now + period / 2 + Int64(random.below(Int(period))))
    let shard = random.below(ownership.plan.shards.count)
    let target = random.oneIn(12) ? random.below(members.count) : ownership.guesses[shard]
    if !members[target].isUp { ownership.guesses[shard] = random.below(members.count) }
    let arrival = now + Int64(100_000 + random.below(1_000_000))
    if random.oneIn(6) {
      let bound = Int64(20 + random.below(800)) * 1_000_000
      putReplica(.standbyRead(random.below(members.count), shard: shard, bound: bound, triesLeft: 4), at: arrival)
    }
    if random.oneIn(2) {
      scheduler.put(.owner(.write(target, shard: shard, id: newID())), at: arrival)
    } else {
      // An old primary is asked too: there is always a client that has not heard.
      let seen = ownership.checkers.acknowledged.last(shard)
      for node in members.indices where node == target || ownership.owners[node].replicas[shard].lead != nil {
        scheduler.put(.owner(.read(node, shard: shard, began: now, acknowledged: seen)), at: arrival)
      }
    }
  }

  func operate() {
    guard let ownership else { return }
    scheduler.put(.owner(.operate), at: now + 400_000_000)
    for shard in ownership.plan.shards.indices {
      guard let (record, revision) = truth(shard) else { continue }
      if ownership.wanted[shard] == nil { replaceBroken(shard, record) }
      guard let (set, since) = ownership.wanted[shard] else { continue }
      if record.voterSet == set || now - since > 8 * ClusterPlan.second {
        ownership.wanted[shard] = nil
        continue
      }
      move(shard, record, revision, to: set)
    }
  }

  /// First they learn, then the primary is asked to let them vote.
  private func move(_ shard: Int, _ record: OwnershipRecord, _ revision: Int64, to set: VoterSet) {
    let missing = set.voters.filter { voter in
      !record.voters.contains { $0.node == voter.node } && !record.learners.contains { $0.node == voter.node }
    }
    guard record.previous.isEmpty, let primary = record.primary.flatMap({ numbers[$0] }) else { return }
    if !missing.isEmpty {
      var next = record
      next.learners = missing.map(OwnershipRecord.Replica.init)
      storeTransact([(next.key, next.encode(), revision)])
    } else if members[primary].isUp, !isPaused(primary) {
      totals.note("change of voters asked")
      ownerStep(primary, .changeVoters(record.account, set, learners: []))
    }
  }

  private func replaceBroken(_ shard: Int, _ record: OwnershipRecord) {
    guard let ownership else { return }
    let broken = record.voters.filter { voter in numbers[voter.node].map { ownership.owners[$0].isBroken } ?? true }
    guard !broken.isEmpty, let candidate = candidate(for: record, in: broken[0].region) else { return }
    let kept = record.voters.filter { $0.node != broken[0].node }
    ownership.wanted[shard] = (
      VoterSet(
        goal: record.voterSet.goal, voters: kept.map { Voter(node: $0.node, region: $0.region) } + [voter(candidate)]),
      now
    )
  }

  private func candidate(for record: OwnershipRecord, in region: String) -> Int? {
    guard let ownership else { return nil }
    let free = running.filter { number in
      !ownership.owners[number].isBroken && !record.voters.contains { $0.node == members[number].id }
    }
    let near = free.filter { "r\(plan.regions[$0])" == region }
    if record.goal == SurvivalGoal.region.rawValue { return near.first }
    return free.isEmpty ? nil : free[random.below(free.count)]
  }

  /// Another set of as many voters, of which some may be new.
  func wantOtherVoters(_ shard: Int) {
    guard let ownership, let (record, _) = truth(shard), ownership.wanted[shard] == nil,
      let primary = record.primary
    else { return }
    var voters = record.voters.map { Voter(node: $0.node, region: $0.region) }
    for _ in 0..<(1 + random.below(2)) {
      guard let leaving = voters.firstIndex(where: { $0.node != primary }) else { break }
      guard
        let candidate = running.filter({ number in
          !ownership.owners[number].isBroken && !voters.contains { $0.node == members[number].id }
            && (record.goal != SurvivalGoal.region.rawValue || "r\(plan.regions[number])" == voters[leaving].region)
        }).randomElement(using: &random)
      else { break }
      voters.remove(at: leaving)
      voters.append(voter(candidate))
    }
    let set = VoterSet(goal: record.voterSet.goal, voters: voters)
    if set != record.voterSet { ownership.wanted[shard] = (set, now) }
  }

  func handOver(_ shard: Int) -> Bool {
    guard let (record, _) = truth(shard), let primary = record.primary.flatMap({ numbers[$0] }),
      members[primary].isUp, !isPaused(primary),
      let successor = record.voters.filter({ $0.node != record.primary }).randomElement(using: &random)
    else { return false }
    ownerStep(primary, .handOver(record.account, to: successor.node))
    return true
  }
}
