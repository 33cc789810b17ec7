// At any instant at most one node may answer default reads of a shard, a stopped one included: its lease runs out by its
// clock. Sharper than waiting for a stale answer, and sees the same faults.

import Base
import Control

struct ExclusiveServiceChecker {
  func check(_ shard: Int, _ world: ClusterWorld) throws(Violation) {
    guard let ownership = world.ownership else { return }
    let account = ownership.plan.shards[shard].account
    var serving: [Int] = []
    for owner in ownership.owners {
      guard let machine = owner.driver?.machine, let epoch = machine.servingEpoch(account) else { continue }
      if machine.mayServe(account, epoch, at: world.members[owner.number].now(world.now)) {
        serving.append(owner.number)
      }
    }
    guard serving.count <= 1 else {
      throw Violation(checker: "exclusive service", message: "\(serving) may all answer reads of shard \(shard)")
    }
  }
}
