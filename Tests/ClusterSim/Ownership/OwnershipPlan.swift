// What a seed decides about ownership before the run: shards with their voters, and timers.

import Base
package import Control
import Formats
import Simulator

package struct OwnershipPlan: Sendable {
  package struct Shard: Sendable {
    var account: AccountID
    var goal: SurvivalGoal
    /// Numbers of nodes.
    var voters: [Int]
  }

  package var configuration = OwnershipConfiguration()
  package var shards: [Shard] = []
  /// Nodes that run from the start; the others take the place of one whose disk is lost.
  package var running: Int
  /// Between two requests of clients, about.
  var clientPeriod: Int64
  /// Answers of the control store that are lost, and that come late, in thousandths; how late changes may be told.
  var lostAnswersPermille: Int
  var lateAnswersPermille: Int
  var watchDelay: Int64
  var corruptPermille: Int
  package var replication = ReplicationPlan()

  init(running: Int, regions: [Int], bugs: JointBugs, _ random: inout SeededGenerator) {
    self.running = running
    configuration.plantedBugs = bugs.ownership
    replication = ReplicationPlan(bugs, &random)
    clientPeriod = Int64(10 + random.below(30)) * 1_000_000
    lostAnswersPermille = random.oneIn(2) ? random.below(150) : 0
    lateAnswersPermille = random.oneIn(2) ? random.below(150) : 0
    watchDelay = random.oneIn(2) ? Int64(random.below(3000)) * 1_000_000 : 20_000_000
    corruptPermille = random.below(10)
    let hasRegions = Set(regions[..<running]).count >= 3
    for _ in 0..<(1 + random.below(3)) {
      let account = AccountID(from: &random)
      let wanted = running >= 5 && random.oneIn(3) ? 5 : 3
      var candidates = Array(0..<running)
      candidates.shuffle(using: &random)
      var voters = Array(candidates.prefix(wanted))
      var goal = SurvivalGoal.node
      if hasRegions, random.oneIn(2) {
        goal = .region
        voters = (0..<3).compactMap { region in candidates.first { regions[$0] == region } }
      }
      shards.append(Shard(account: account, goal: goal, voters: voters.sorted()))
    }
    shards.sort { $0.account < $1.account }
  }

  /// Nothing goes wrong: each shard on three nodes in turn, a request each 5 ms.
  init(calm running: Int, shards count: Int, _ random: inout SeededGenerator) {
    self.running = running
    clientPeriod = 5_000_000
    lostAnswersPermille = 0
    lateAnswersPermille = 0
    watchDelay = 0
    corruptPermille = 0
    for i in 0..<count {
      let voters = (0..<3).map { (i + $0) % running }.sorted()
      shards.append(Shard(account: AccountID(from: &random), goal: .node, voters: voters))
    }
    shards.sort { $0.account < $1.account }
  }

  package var listing: String {
    "\(shards.map { "\($0.goal) \($0.voters)" }.joined(separator: ", ")); a request each "
      + "\(clientPeriod / 1_000_000) ms, answers lost \(lostAnswersPermille), late \(lateAnswersPermille) permille, "
      + "watch up to \(watchDelay / 1_000_000) ms late, corrupt \(corruptPermille) permille"
  }
}
