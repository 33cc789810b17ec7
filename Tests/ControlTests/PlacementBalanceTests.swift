// Balancing: within the bound of moves, to within the gap, and then nothing more.

import Base
import Control
import Formats
import Testing

@Suite("Balancing")
struct PlacementBalanceTests {
  private func unbounded() -> PlacementPolicy {
    var policy = PlacementPolicy()
    policy.movesAtOnce = .max
    return policy
  }

  /// Distinct zones of an account's voters; a node without one counts by itself.
  private func zones(_ account: PlacedAccount, _ world: PlacementWorld) -> Int {
    Set(
      account.voters.map { voter in
        let node = world.node(voter.node)!
        return node.zone.isEmpty ? "\(node.id)" : "\(node.region)/\(node.zone)"
      }
    ).count
  }

  private func counts(_ world: PlacementWorld) -> [Int] {
    world.nodes.map { node in world.accounts.count { $0.voters.contains { $0.node == node.id } } }
  }

  @Test("empty nodes get their share with no more moves than lie above the mean, and a second plan is empty")
  func newNodes() {
    for seed in 1...20 {
      var world = PlacementWorld(seed: UInt64(seed))
      let old = 4 + world.random.below(6)
      world.nodes = (0..<old).map { PlacementNode(id: NodeID(from: &world.random), name: "n\($0)", region: "eu") }
      world.fill(300, rules: PlacementRules())
      for n in 0..<(1 + world.random.below(old)) {
        world.nodes.append(PlacementNode(id: NodeID(from: &world.random), name: "new\(n)", region: "eu"))
      }
      let before = counts(world)
      let mean = before.reduce(0, +) / before.count
      let gap = max(2, mean * 200 / 1000)
      var placement = Placement(nodes: world.nodes, policy: unbounded())
      let plan = placement.rebalance(world.accounts)
      #expect(plan.movedReplicasCount <= before.reduce(0) { $0 + max(0, $1 - mean) })
      #expect(!plan.moves.isEmpty)
      world.begin(plan)
      var busy = Placement(nodes: world.nodes, policy: unbounded())
      #expect(busy.rebalance(world.accounts).moves.isEmpty)
      world.finish()
      let after = counts(world)
      #expect(after.max()! - after.min()! <= gap, "\(before) \(after)")
      #expect(after[old...].allSatisfy { after.max()! - $0 <= max(1, mean * 50 / 1000) || $0 >= mean })
      #expect(placement.rebalance(world.accounts).isDone)
    }
  }

  @Test("over random clusters: bounded, sound, and never a second plan")
  func properties() {
    var movedCount = 0
    for seed in 1...250 {
      var world = PlacementWorld(seed: UInt64(seed), sick: seed % 2 == 0)
      world.fill(50)
      for _ in 0..<world.random.below(4) {
        let region = PlacementWorld.regions[world.random.below(4)]
        world.nodes.append(PlacementNode(id: NodeID(from: &world.random), name: "new", region: region))
      }
      let before = world
      var placement = Placement(nodes: world.nodes, policy: unbounded())
      let plan = placement.rebalance(world.accounts)
      var other = Placement(nodes: world.nodes.shuffled(using: &world.random), policy: unbounded())
      #expect(other.rebalance(world.accounts) == plan)
      world.begin(plan)
      world.finish()
      movedCount += plan.movedReplicasCount
      let squares = { (world: PlacementWorld) in counts(world).reduce(0) { $0 + $1 * $1 } }
      // Each replica that moves goes from more to less by two or more.
      #expect(plan.movedReplicasCount * 2 <= squares(before) - squares(world))
      for (old, new) in zip(before.accounts, world.accounts) {
        #expect(old.voters.count == new.voters.count && Set(new.voters.map(\.node)).count == new.voters.count)
        #expect(new.voters.allSatisfy { new.rules.allows(region: $0.region) })
        #expect(!survival(old).holds(old.rules.goal) || survival(new).holds(new.rules.goal))
        let home = { (account: PlacedAccount) in account.voters.count { $0.region == account.rules.homeRegion } }
        #expect(home(new) >= home(old))
        #expect(zones(new, world) >= zones(old, world))
      }
      for move in plan.moves {
        #expect(move.add.allSatisfy { world.node($0)!.state == .active && world.node($0)!.health == .alive })
      }
      var again = Placement(nodes: world.nodes, policy: unbounded())
      #expect(again.rebalance(world.accounts).moves.isEmpty)
    }
    #expect(movedCount > 300)
  }

  @Test("one portion at a time arrives at rest too, and small differences begin nothing")
  func portions() {
    var world = PlacementWorld(seed: 9)
    world.nodes = (0..<6).map { PlacementNode(id: NodeID(from: &world.random), name: "n\($0)", region: "eu") }
    world.accounts = []
    world.fill(400, rules: PlacementRules())
    var calm = Placement(nodes: world.nodes)
    #expect(calm.rebalance(world.accounts).isDone)
    world.nodes.append(PlacementNode(id: NodeID(from: &world.random), name: "new", region: "eu"))
    var rounds = 0
    while rounds < 100 {
      var placement = Placement(nodes: world.nodes)
      let plan = placement.rebalance(world.accounts)
      if plan.moves.isEmpty { break }
      #expect(plan.moves.count <= PlacementPolicy().movesAtOnce)
      world.begin(plan)
      world.finish()
      rounds += 1
    }
    #expect((10..<100).contains(rounds))
    #expect(counts(world).last! > 100)
  }

  @Test("nothing goes to a busier node, and the majority that writes quickly stays in its region")
  func held() {
    var nodes = (1...6).map { n in
      PlacementNode(id: NodeID(bits: UInt128(n)), name: "n\(n)", region: n <= 3 ? "eu" : "us")
    }
    let voters = nodes[..<3].map { Voter(node: $0.id, region: $0.region) }
    let accounts = (1...50).map { PlacedAccount(id: AccountID(bits: UInt128($0)), voters: voters) }
    var placement = Placement(nodes: nodes, policy: unbounded())
    let moves = placement.rebalance(accounts).moves
    #expect(!moves.isEmpty && moves.allSatisfy { $0.remove.count == 1 })
    for i in 3..<6 { nodes[i].loadPermille = 101 }
    placement = Placement(nodes: nodes, policy: unbounded())
    #expect(placement.rebalance(accounts).isDone)
    for i in 3..<6 { nodes[i].loadPermille = 100 }
    placement = Placement(nodes: nodes, policy: unbounded())
    #expect(placement.rebalance(accounts).moves.count == moves.count)
  }

  @Test("a difference of 15 % of the mean begins nothing, one of 28 % is evened out to the mean and no further")
  func gaps() {
    for (most, moves) in [(115, 0...0), (130, 17...23)] {
      let nodes = (1...4).map { PlacementNode(id: NodeID(bits: UInt128($0)), name: "n\($0)", region: "eu") }
      let holders = nodes.enumerated().flatMap { [PlacementNode](repeating: $1, count: $0 == 0 ? most : 100) }
      let accounts = holders.enumerated().map { n, node in
        let voters = [Voter(node: node.id, region: node.region)]
        return PlacedAccount(id: AccountID(bits: UInt128(n + 1)), rules: PlacementRules(goal: .none), voters: voters)
      }
      var placement = Placement(nodes: nodes, policy: unbounded())
      let plan = placement.rebalance(accounts)
      #expect(moves.contains(plan.moves.count))
      #expect(plan.moves.allSatisfy { $0.remove == [nodes[0].id] })
    }
  }
}
