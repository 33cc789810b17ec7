// Voters of new accounts: the rules by example, and as properties over thousands of random clusters.

import Base
import Control
import Formats
import Testing

@Suite("Placement of new accounts")
struct PlacementChooseTests {
  private func cluster(_ places: [(String, String)]) -> [PlacementNode] {
    var random = SeededGenerator(seed: 7)
    return places.enumerated().map {
      PlacementNode(id: NodeID(from: &random), name: "n\($0.offset)", region: $0.element.0, zone: $0.element.1)
    }
  }

  private func account(_ n: UInt64) -> AccountID {
    var random = SeededGenerator(seed: n)
    return AccountID(from: &random)
  }

  private func names(_ choice: PlacementChoice, _ nodes: [PlacementNode]) -> Set<String> {
    Set(choice.voters.map { voter in nodes.first { $0.id == voter.node }!.name })
  }

  @Test("three voters in distinct zones of the home region, where the primary is too")
  func home() throws {
    let nodes = cluster([("eu", "a"), ("eu", "a"), ("eu", "b"), ("eu", "c"), ("us", "a"), ("us", "b")])
    for n in 1...20 {
      let choice = try Placement(nodes: nodes).choose(account(UInt64(n)), PlacementRules(homeRegion: "eu"))
      #expect(names(choice, nodes).isSuperset(of: ["n2", "n3"]))
      #expect(choice.voters.allSatisfy { $0.region == "eu" })
      #expect(nodes.first { $0.id == choice.primary }?.region == "eu")
      #expect(choice.survival == Survival(data: .node, writes: .node))
    }
  }

  @Test("the goal region is 1+1+1, and 2+2+1 with five voters")
  func regions() throws {
    let nodes = cluster([("ap", ""), ("ap", ""), ("eu", ""), ("eu", ""), ("us", ""), ("us", "")])
    let three = try Placement(nodes: nodes).choose(account(1), PlacementRules(goal: .region))
    #expect(Set(three.voters.map(\.region)).count == 3)
    let five = try Placement(nodes: nodes).choose(account(1), PlacementRules(goal: .region, votersCount: 5))
    #expect(Dictionary(grouping: five.voters, by: \.region).values.map(\.count).sorted() == [1, 2, 2])
    #expect(three.survival == Survival(data: .region, writes: .region) && three.survival == five.survival)
  }

  @Test("two regions are refused for the goal region, unless it is accepted that writes stop")
  func twoRegions() throws {
    let nodes = cluster([("eu", ""), ("eu", ""), ("us", ""), ("us", "")])
    let error = #expect(throws: PlacementError.self) {
      try Placement(nodes: nodes).choose(self.account(1), PlacementRules(goal: .region))
    }
    #expect(error?.code == .tooFewRegions && error?.message.contains("accept that writes stop") == true)
    let rules = PlacementRules(goal: .region, acceptsWritesStop: true)
    let choice = try Placement(nodes: nodes).choose(account(1), rules)
    #expect(choice.survival == Survival(data: .region, writes: .node) && choice.voters.count == 4)
  }

  @Test("one node alone survives nothing, two nodes keep the data, and both say so")
  func small() throws {
    let one = try Placement(nodes: cluster([("eu", "")])).choose(account(1), PlacementRules())
    #expect(one.voters.count == 1 && one.survival.survives == .none)
    let two = try Placement(nodes: cluster([("eu", ""), ("eu", "")])).choose(account(1), PlacementRules())
    #expect(two.voters.count == 2 && two.survival == Survival(data: .node, writes: .none))
  }

  @Test("residency is absolute, and a refusal says what would help")
  func residency() {
    let nodes = cluster([("eu", ""), ("eu", ""), ("us", ""), ("us", ""), ("us", "")])
    let cases: [(PlacementRules, PlacementError.Code, String)] = [
      (PlacementRules(residency: ["eu"]), .tooFewNodes, "add a node"),
      (PlacementRules(residency: ["ap"]), .tooFewNodes, "(ap): add a node there"),
      (PlacementRules(homeRegion: "us", residency: ["eu"]), .rules, "change one of them"),
      (PlacementRules(votersCount: 4), .rules, "ask for 3, 5 or 7"),
    ]
    for (rules, code, text) in cases {
      let error = #expect(throws: PlacementError.self) {
        try Placement(nodes: nodes).choose(self.account(1), rules)
      }
      #expect(error?.code == code && error?.message.contains(text) == true, "\(error?.message ?? "")")
    }
  }

  @Test("a dead node is a voter only where no other can be, and never so many that nothing can be written")
  func dead() throws {
    var nodes = cluster([("ap", ""), ("eu", ""), ("us", "")])
    nodes[0].health = .dead(since: Instant(nanoseconds: 0))
    let choice = try Placement(nodes: nodes).choose(account(1), PlacementRules(goal: .region))
    #expect(choice.voters.count == 3 && choice.primary != nodes[0].id)
    nodes[1].health = .dead(since: Instant(nanoseconds: 0))
    let error = #expect(throws: PlacementError.self) {
      try Placement(nodes: nodes).choose(self.account(1), PlacementRules(goal: .region))
    }
    #expect(error?.code == .noWriteSet)
  }

  @Test("equal nodes share evenly, a loaded or a full one gets less or nothing")
  func spread() throws {
    var nodes = cluster((0..<10).map { ("eu", "z\($0)") })
    nodes[8].loadPermille = 900
    nodes[9].diskFillPermille = 900
    var fixed: [NodeID: Int] = [:]
    let still = Placement(nodes: nodes)
    var counting = Placement(nodes: nodes)
    for n in 1...1000 {
      for voter in try still.choose(account(UInt64(n)), PlacementRules()).voters { fixed[voter.node, default: 0] += 1 }
      _ = try counting.place(account(UInt64(n)), PlacementRules())
    }
    // 3000 replicas over 8 nodes: 375 each. By hash alone within a quarter, with counting much nearer.
    for node in nodes[..<8] {
      #expect((280...470).contains(fixed[node.id, default: 0]))
      #expect((320...420).contains(counting.nodes.first { $0.id == node.id }!.accountsCount))
    }
    #expect(fixed[nodes[8].id] == nil && fixed[nodes[9].id] == nil)
    #expect(counting.nodes.first { $0.id == nodes[8].id }!.accountsCount < 150)
  }

  @Test("over random clusters: residency, distinct nodes, honest survival, the goal or a reason, and determinism")
  func properties() throws {
    var placed = 0
    var refused = 0
    for seed in 1...1000 {
      var world = PlacementWorld(seed: UInt64(seed), sick: seed % 2 == 0)
      for _ in 0..<4 {
        let rules = world.rules()
        let id = AccountID(from: &world.random)
        let shuffled = world.nodes.shuffled(using: &world.random)
        let result = Result { try Placement(nodes: world.nodes).choose(id, rules) }
        let again = Result { try Placement(nodes: shuffled).choose(id, rules) }
        guard case .success(let choice) = result else {
          #expect((try? again.get()) == nil)
          refused += 1
          continue
        }
        placed += 1
        #expect(try again.get() == choice)
        #expect(choice.voters.allSatisfy { rules.allows(region: $0.region) })
        #expect(Set(choice.voters.map(\.node)).count == choice.voters.count)
        #expect(choice.voters.contains { $0.node == choice.primary })
        let set = VoterSet(goal: rules.goal, voters: choice.voters)
        #expect(choice.survival == Survival(set))
        let isSmall = rules.goal == .node && world.nodes.count < 3
        let isAccepted = rules.acceptsWritesStop && choice.survival.data.rawValue >= rules.goal.rawValue
        #expect(choice.survival.holds(rules.goal) || isSmall || isAccepted)
        #expect(set.isWriteSet(Set(choice.voters.map(\.node).filter { !world.node($0)!.isDead })))
        #expect(!world.node(choice.primary)!.isDead)
      }
    }
    #expect(placed > 1000 && refused > 250)
  }

  @Test("what voters survive is what the write-set rule says, over every small set and every loss")
  func survivalIsTheRule() {
    for goal in SurvivalGoal.allCases {
      for count in 0...7 {
        for code in 0..<power(3, count) {
          var rest = code
          let voters = (0..<count).map { n in
            defer { rest /= 3 }
            return Voter(node: NodeID(bits: UInt128(n + 1)), region: ["ap", "eu", "us"][rest % 3])
          }
          let set = VoterSet(goal: goal, voters: voters)
          #expect(Survival(set) == bruteForce(set))
        }
      }
    }
  }

  private func power(_ base: Int, _ exponent: Int) -> Int { (0..<exponent).reduce(1) { n, _ in n * base } }

  private func bruteForce(_ set: VoterSet) -> Survival {
    let all = Set(set.nodes)
    let single = set.nodes.map { Set([$0]) }
    let regional = Set(set.voters.map(\.region)).map { r in Set(set.voters.filter { $0.region == r }.map(\.node)) }
    guard set.isWriteSet(all) else { return Survival(data: .none, writes: .none) }
    func keeps(_ loss: Set<NodeID>) -> Bool { !set.isWriteSet(loss) }
    func goesOn(_ loss: Set<NodeID>) -> Bool { set.isWriteSet(all.subtracting(loss)) }
    func level(_ holds: (Set<NodeID>) -> Bool) -> SurvivalGoal {
      regional.allSatisfy(holds) ? .region : single.allSatisfy(holds) ? .node : .none
    }
    return Survival(data: level(keeps), writes: level(goesOn))
  }
}
