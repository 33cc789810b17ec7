// The plan of etcd's members against random clusters of nodes that come, go, die and return: never without a quorum,
// one step at a time, and an end that is spread as far as the nodes allow.

import Base
import ControlStores
import Testing

@Suite struct EtcdMemberPlanTests {
  /// What etcd would do with a step, and what it refuses.
  private struct World {
    var nodes: [EtcdMemberNode]
    var members: [EtcdMemberView] = []
    var nextID: UInt64 = 100

    init(_ nodes: [EtcdMemberNode]) { self.nodes = nodes }

    var voters: [EtcdMemberView] { members.filter { !$0.member.isLearner } }
    var hasQuorum: Bool { voters.count { $0.isHealthy } > voters.count / 2 }

    mutating func carry(_ node: EtcdMemberNode, isLearner: Bool, isStarted: Bool) {
      nextID += 1
      let member = EtcdMember(
        id: nextID &* 0x9E37_79B9_7F4A_7C15, name: isStarted ? node.id : "", peerURLs: [node.peerURL],
        clientURLs: isStarted ? [node.clientURL] : [], isLearner: isLearner)
      members.append(EtcdMemberView(member, isHealthy: isStarted))
    }

    /// Nil when etcd would refuse it.
    mutating func apply(_ step: EtcdMemberStep) -> Bool {
      guard hasQuorum else { return false }
      switch step {
      case .add(let node):
        guard !members.contains(where: { $0.member.isLearner || $0.member.peerURLs == [node.peerURL] }) else {
          return false
        }
        carry(node, isLearner: true, isStarted: false)
      case .promote(let id):
        guard let i = members.firstIndex(where: { $0.member.id == id && $0.member.isLearner && $0.isHealthy }) else {
          return false
        }
        members[i].member.isLearner = false
      case .remove(let id):
        guard members.contains(where: { $0.member.id == id }) else { return false }
        members.removeAll { $0.member.id == id }
      }
      return true
    }

    /// The node of the learner starts it.
    mutating func startLearners() {
      for i in members.indices where members[i].member.isLearner {
        guard let node = nodes.first(where: { members[i].member.peerURLs == [$0.peerURL] }), node.isAlive else {
          continue
        }
        members[i].member.name = node.id
        members[i].isHealthy = true
      }
    }
  }

  private func node(_ number: Int, _ region: String, _ zone: String = "a", isAlive: Bool = true) -> EtcdMemberNode {
    EtcdMemberNode(
      id: "n\(number)", region: region, zone: zone, clientURL: "https://10.0.0.\(number):7403",
      peerURL: "https://10.0.0.\(number):7404", isAlive: isAlive)
  }

  private func run(_ world: inout World, stepsMax: Int = 60) -> Int? {
    for step in 0..<stepsMax {
      guard let next = EtcdMemberPlan.next(world.nodes, world.members) else {
        let before = world.members
        world.startLearners()
        if world.members == before { return step }
        continue
      }
      guard world.apply(next), world.hasQuorum else { return nil }
      if case .add = next { world.startLearners() }
    }
    return nil
  }

  @Test("one member for fewer than three nodes, three for fewer than five, else five")
  func target() {
    #expect((0...9).map(EtcdMemberPlan.target) == [0, 1, 1, 3, 3, 5, 5, 5, 5, 5])
  }

  @Test("one grows to three in three regions, then to five, and a removed node's member goes")
  func growth() throws {
    var world = World([node(1, "eu"), node(2, "us"), node(3, "ap")])
    world.carry(world.nodes[0], isLearner: false, isStarted: true)
    #expect(EtcdMemberPlan.next(world.nodes, world.members) == .add(world.nodes[1]))
    #expect(run(&world) != nil)
    #expect(Set(world.voters.map(\.member.name)) == ["n1", "n2", "n3"])
    world.nodes += [node(4, "eu", "b"), node(5, "us", "b"), node(6, "eu", "a")]
    #expect(run(&world) != nil)
    #expect(Set(world.voters.map(\.member.name)) == ["n1", "n2", "n3", "n4", "n5"])
    // Dead and removed: it goes first, its successor comes after.
    world.nodes.removeAll { $0.id == "n4" }
    let dead = try #require(world.members.firstIndex { $0.member.name == "n4" })
    world.members[dead].isHealthy = false
    #expect(EtcdMemberPlan.next(world.nodes, world.members) == .remove(world.members[dead].member.id))
    #expect(run(&world) != nil)
    #expect(Set(world.voters.map(\.member.name)) == ["n1", "n2", "n3", "n5", "n6"])
    // Removed and still running: its successor comes first.
    world.nodes.append(node(7, "ap", "c"))
    world.nodes.removeAll { $0.id == "n3" }
    #expect(EtcdMemberPlan.next(world.nodes, world.members) == .add(world.nodes.last!))
    #expect(run(&world) != nil)
    #expect(Set(world.voters.map(\.member.name)) == ["n1", "n2", "n5", "n6", "n7"])
  }

  @Test("a member that is down keeps its place; without a quorum nothing is done; a node with a new disk is new")
  func patience() {
    var world = World([node(1, "eu"), node(2, "us"), node(3, "ap"), node(4, "ap", "b")])
    for node in world.nodes.prefix(3) { world.carry(node, isLearner: false, isStarted: true) }
    world.members[2].isHealthy = false
    world.nodes[2].isAlive = false
    #expect(EtcdMemberPlan.next(world.nodes, world.members) == nil)
    world.members[1].isHealthy = false
    world.nodes.remove(at: 2)
    #expect(EtcdMemberPlan.next(world.nodes, world.members) == nil)
    world.members[1].isHealthy = true
    #expect(EtcdMemberPlan.next(world.nodes, world.members) == .remove(world.members[2].member.id))
    var reborn = World([node(1, "eu"), node(2, "us"), node(3, "ap")])
    for node in reborn.nodes { reborn.carry(node, isLearner: false, isStarted: true) }
    reborn.members[1].member.name = "former"
    reborn.members[1].isHealthy = false
    #expect(EtcdMemberPlan.next(reborn.nodes, reborn.members) == .remove(reborn.members[1].member.id))
    #expect(run(&reborn) != nil)
    #expect(Set(reborn.voters.map(\.member.name)) == ["n1", "n2", "n3"])
  }

  @Test("twenty thousand random clusters: every step keeps a quorum, all come to rest, spread as far as it goes")
  func property() throws {
    var random = SeededGenerator(seed: 4)
    var (changed, grown) = (0, 0)
    for seed in 0..<20_000 {
      var world = World(
        (0..<1 + random.below(9)).map { n in
          node(n, ["eu", "us", "ap", "sa"][random.below(1 + random.below(4))], ["a", "b"][random.below(2)])
        })
      for node in world.nodes.shuffled(using: &random).prefix(1 + random.below(5)) {
        world.carry(node, isLearner: false, isStarted: true)
      }
      // Trouble while steps are taken.
      for _ in 0..<random.below(30) {
        switch random.below(8) {
        case 0 where world.nodes.count > 1: world.nodes.remove(at: random.below(world.nodes.count))
        case 1 where world.nodes.count < 9:
          world.nodes.append(node(10 + random.below(200), ["eu", "us", "ap"][random.below(3)]))
        case 2:
          let i = random.below(world.nodes.count)
          world.nodes[i].isAlive.toggle()
        case 3 where !world.members.isEmpty:
          let i = random.below(world.members.count)
          if world.members[i].member.isStarted { world.members[i].isHealthy.toggle() }
        case 4: world.startLearners()
        default:
          let had = world.hasQuorum
          guard let step = EtcdMemberPlan.next(world.nodes, world.members) else { continue }
          try #require(had, "seed \(seed): a step without a quorum")
          try #require(world.apply(step) && world.hasQuorum, "seed \(seed): \(step)")
          changed += 1
        }
        world.nodes = Dictionary(grouping: world.nodes, by: \.id).values.map { $0[0] }.sorted { $0.id < $1.id }
      }
      // Everything heals.
      for i in world.nodes.indices { world.nodes[i].isAlive = true }
      for i in world.members.indices where world.members[i].member.isStarted { world.members[i].isHealthy = true }
      try #require(run(&world) != nil, "seed \(seed): no rest: \(world.nodes) \(world.members)")
      try check(world, seed)
      grown = max(grown, world.voters.count)
    }
    #expect(changed > 10_000 && grown == 5)
  }

  private func check(_ world: World, _ seed: Int) throws {
    let voters = world.voters
    try #require(voters.count == world.members.count && voters.count == EtcdMemberPlan.target(nodes: world.nodes.count))
    var taken: [String: Int] = [:]
    for voter in voters {
      let node = try #require(world.nodes.first { voter.member.name == $0.id }, "seed \(seed)")
      taken[node.region, default: 0] += 1
    }
    let free = Set(world.nodes.filter { node in !voters.contains { $0.member.name == node.id } }.map(\.region))
    let most = taken.values.max() ?? 0
    for region in free { try #require((taken[region] ?? 0) >= most - 1, "seed \(seed): \(region) could take one") }
  }
}
