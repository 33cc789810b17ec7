// What-if against brute force: over every subset of nodes, the two answers follow from all possible write sets.

import Base
import Control
import Formats
import Testing

@Suite("What if")
struct WhatIfTests {
  private func subsets(_ nodes: [NodeID]) -> [Set<NodeID>] {
    nodes.reduce([[]]) { all, node in all + all.map { $0.union([node]) } }
  }

  @Test("data survive iff every write set meets what remains, and writes go on iff one lies in it, over all losses")
  func bruteForce() {
    var lossesCount = 0
    for seed in 1...50 {
      var world = PlacementWorld(seed: UInt64(seed), nodesMax: 7)
      world.fill(6)
      for i in world.accounts.indices where world.random.oneIn(3) {
        // A change of voters that is not committed yet.
        let other = world.accounts[world.random.below(world.accounts.count)].voters
        world.accounts[i].nextVoters = other
      }
      let members = Array(world.nodes.map(\.id).shuffled(using: &world.random).prefix(1 + world.random.below(5)))
      for loss in subsets(world.nodes.map(\.id)) {
        lossesCount += 1
        let answer = WhatIf(
          losing: Loss(nodes: loss), nodes: world.nodes, accounts: world.accounts, control: .nodes(members))
        let control = members.count { !loss.contains($0) } * 2 > members.count
        #expect(answer.control.keepsMajority == control)
        for (account, judged) in zip(world.accounts, answer.accounts) {
          var survives = true
          var goesOn = control
          for set in account.voterSets {
            let written = subsets(set.nodes).filter(set.isWriteSet)
            if set.nodes.isEmpty || written.contains(where: { $0.isSubset(of: loss) }) { survives = false }
            if !written.contains(where: { $0.isDisjoint(with: loss) }) { goesOn = false }
          }
          #expect(judged.id == account.id && judged.dataSurvives == survives && judged.writesGoOn == goesOn)
        }
        #expect(answer.dataSurvives == answer.dataLost.isEmpty && answer.writesGoOn == answer.writesStopped.isEmpty)
      }
    }
    #expect(lossesCount > 500)
  }

  @Test("a region is all its nodes, the dead count as lost already, and an unknown voter too")
  func regionsAndTheDead() {
    var nodes = (1...6).map { n in
      PlacementNode(id: NodeID(bits: UInt128(n)), name: "n\(n)", region: ["ap", "eu", "us"][n % 3])
    }
    let voters = nodes.prefix(3).map { Voter(node: $0.id, region: $0.region) }
    let account = PlacedAccount(id: AccountID(bits: 1), rules: PlacementRules(goal: .region), voters: voters)
    let control = ControlMembers.nodes(nodes.prefix(3).map(\.id))
    var answer = WhatIf(losing: Loss(regions: ["eu"]), nodes: nodes, accounts: [account], control: control)
    #expect(answer.dataSurvives && answer.writesGoOn && answer.lost.count == 2 && answer.lostAlready.isEmpty)
    #expect(
      answer.control == WhatIf(losing: Loss(nodes: [nodes[0].id]), nodes: nodes, accounts: [], control: control).control
    )
    nodes[1].health = .dead(since: Instant(nanoseconds: 0))
    answer = WhatIf(losing: Loss(regions: ["eu"]), nodes: nodes, accounts: [account], control: control)
    #expect(!answer.writesGoOn && answer.writesStopped == [account.id] && answer.lostAlready == [nodes[1].id])
    #expect(!answer.control.keepsMajority && answer.control.remainingCount == 1)
    let elsewhere = WhatIf(losing: Loss(), nodes: nodes, accounts: [account], control: .elsewhere)
    #expect(elsewhere.control.keepsMajority && elsewhere.writesGoOn)
    let unknown = WhatIf(losing: Loss(), nodes: Array(nodes[3...]), accounts: [account], control: .elsewhere)
    #expect(unknown.dataLost == [account.id] && unknown.lostAlready == Set(voters.map(\.node)))
  }
}
