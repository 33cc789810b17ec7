// The rule that everything else rests on: which voters make a write set, and who may make a primary.

import Base
import Control
import Formats
import Testing

@Suite("Write sets")
struct VoterSetTests {
  private func node(_ n: UInt8) -> NodeID { NodeID(bytes: [UInt8](repeating: 0, count: 15) + [n]) }

  private func set(_ goal: SurvivalGoal, _ regions: [String]) -> VoterSet {
    VoterSet(
      goal: goal, voters: regions.enumerated().map { Voter(node: node(UInt8($0.offset + 1)), region: $0.element) })
  }

  @Test("a majority is a write set for the goal node, and needs two regions for the goal region")
  func rule() {
    let three = set(.node, ["eu", "eu", "us"])
    #expect(three.isWriteSet([node(1), node(2)]))
    #expect(!three.isWriteSet([node(3)]))
    let regions = set(.region, ["eu", "eu", "us", "us", "ap"])
    #expect(!regions.isWriteSet([node(1), node(2)]))
    #expect(regions.isWriteSet([node(1), node(2), node(3)]))
    #expect(!set(.region, ["eu", "eu", "us"]).isWriteSet([node(1), node(2)]))
    #expect(!three.isWriteSet([node(1), node(9)]))
  }

  @Test("any two write sets meet, and who may promote meets every write set", arguments: 1...VoterSet.countMax)
  func meeting(count: Int) {
    for goal in SurvivalGoal.allCases {
      let voters = set(goal, (0..<count).map { ["eu", "us", "ap"][$0 % 3] })
      var subsets: [Set<NodeID>] = [[]]
      for n in 1...count { subsets += subsets.map { $0.union([node(UInt8(n))]) } }
      let writeSets = subsets.filter(voters.isWriteSet)
      for a in writeSets { for b in writeSets { #expect(!a.isDisjoint(with: b)) } }
      for promoters in subsets where voters.mayPromote(promoters) {
        for written in writeSets { #expect(!written.isDisjoint(with: promoters)) }
      }
    }
  }

  @Test("a record's write sets are those of its voters, and of those before while they change")
  func records() {
    let nodes = (1...5).map { node(UInt8($0)) }
    var subsets: [Set<NodeID>] = [[]]
    for node in nodes { subsets += subsets.map { $0.union([node]) } }
    for goal in SurvivalGoal.allCases {
      for before in SurvivalGoal.allCases {
        let voters = set(goal, ["eu", "us", "us"])
        let previous = VoterSet(goal: before, voters: nodes.dropFirst(2).map { Voter(node: $0, region: "ap") })
        var record = OwnershipRecord(account: AccountID(bits: 1), voters: voters)
        for nodes in subsets { #expect(record.isWriteSet(nodes) == voters.isWriteSet(nodes)) }
        record.previous = previous.voters.map(OwnershipRecord.Replica.init)
        record.previousGoal = before.rawValue
        for nodes in subsets {
          #expect(record.isWriteSet(nodes) == (voters.isWriteSet(nodes) && previous.isWriteSet(nodes)))
        }
      }
    }
  }
}
