// Once faults are over every shard has a primary that may answer, writes are acknowledged, and its voters hold the same
// log.

import Base
import Control
import Formats

enum OwnershipProgressChecker {
  /// What is still missing; nil when all is well. `counts`: acknowledged writes when the faults ended.
  static func difference(_ world: ClusterWorld, since counts: [Int]) -> String? {
    guard let ownership = world.ownership else { return nil }
    for (shard, plan) in ownership.plan.shards.enumerated() {
      let serving = ownership.owners.first { owner in
        guard let machine = owner.driver?.machine, let epoch = machine.servingEpoch(plan.account) else { return false }
        return machine.mayServe(plan.account, epoch, at: world.members[owner.number].now(world.now))
      }
      guard let serving else { return "shard \(shard) has no primary that may answer" }
      guard ownership.checkers.acknowledged.count(shard) > counts[shard] else {
        return "no write of shard \(shard) was acknowledged"
      }
      guard let (record, _) = world.truth(shard) else { return "shard \(shard) has no record" }
      guard record.previous.isEmpty else { return "voters of shard \(shard) are still changing" }
      let log = serving.replicas[shard].log
      for voter in record.voters {
        guard let number = world.number(of: voter.node), !ownership.owners[number].isBroken,
          world.running.contains(number)
        else { continue }
        guard ownership.owners[number].replicas[shard].log.place.index + 20 >= log.place.index else {
          return
            "voter \(number) of shard \(shard) is at \(ownership.owners[number].replicas[shard].log.place), not \(log.place)"
        }
      }
    }
    return nil
  }

  /// At the end: nobody holds anything else than what was published, and nothing acknowledged is missing.
  static func check(_ world: ClusterWorld) throws(Violation) {
    guard let ownership = world.ownership else { return }
    for shard in ownership.plan.shards.indices {
      for owner in ownership.owners where owner.replicas[shard].lead != nil && owner.driver != nil {
        let machine = owner.driver?.machine
        guard let epoch = machine?.servingEpoch(ownership.plan.shards[shard].account) else { continue }
        try ownership.checkers.acknowledged.check(shard, epoch, owner.number, owner.replicas[shard].log)
        try ownership.checkers.replicas.check(shard, owner.number, owner.replicas[shard].log)
      }
    }
  }
}
