// Draining, repair and growth: what can move moves, what cannot says why, and no step falls below the goal.

import Base
import Control
import Formats
import Testing

@Suite("Placement of existing accounts")
struct PlacementMovesTests {
  private let later = Instant(nanoseconds: 3_600_000_000_000)

  private func policy() -> PlacementPolicy {
    var policy = PlacementPolicy()
    (policy.movesAtOnce, policy.repairsAtOnce) = (.max, .max)
    return policy
  }

  @Test("a drain empties the node of what can move, in bounded portions, and names the rest")
  func drain() {
    var movedCount = 0
    var stuckCount = 0
    for seed in 1...500 {
      var world = PlacementWorld(seed: UInt64(seed))
      world.fill(25)
      let out = world.random.below(world.nodes.count)
      world.nodes[out].state = .draining
      let id = world.nodes[out].id
      var rounds = 0
      while rounds < 100 {
        rounds += 1
        var placement = Placement(nodes: world.nodes)
        let plan = placement.drain(id, world.accounts)
        #expect(plan.moves.count <= PlacementPolicy().movesAtOnce && plan.underWayCount == 0)
        for stuck in plan.stuck { #expect(!canMove(stuck.account, from: id, world), "\(stuck)") }
        let before = world.accounts
        world.begin(plan)
        var second = Placement(nodes: world.nodes)
        if plan.moves.count == PlacementPolicy().movesAtOnce {
          let busy = second.drain(id, world.accounts)
          #expect(busy.moves.isEmpty && busy.underWayCount == plan.moves.count)
        }
        world.finish()
        expectSound(before, world)
        movedCount += plan.moves.count
        if plan.moves.isEmpty {
          stuckCount += plan.stuck.count
          #expect(plan.waitingCount == 0)
          #expect(world.accounts.count { $0.hasReplica(on: id) } == plan.stuck.count)
          #expect(plan.isDone == plan.stuck.isEmpty)
          break
        }
      }
      #expect(rounds < 100)
    }
    #expect(movedCount > 400 && stuckCount > 400)
  }

  /// By trying every single node in place of the one that leaves.
  private func canMove(_ id: AccountID, from out: NodeID, _ world: PlacementWorld) -> Bool {
    let account = world.accounts.first { $0.id == id }!
    let before = survival(account)
    return world.nodes.contains { node in
      guard node.state == .active, node.diskFillPermille < 900, !account.hasReplica(on: node.id),
        account.rules.allows(region: node.region)
      else { return false }
      var other = account
      other.voters.removeAll { $0.node == out }
      other.voters.append(Voter(node: node.id, region: node.region))
      return isNoWorse(survival(other), than: before, account.rules.goal)
    }
  }

  private func isNoWorse(_ after: Survival, than before: Survival, _ goal: SurvivalGoal) -> Bool {
    after.data.rawValue >= min(before.data.rawValue, goal.rawValue)
      && after.writes.rawValue >= min(before.writes.rawValue, goal.rawValue)
  }

  /// Residency, distinct nodes, no fewer voters, nothing below the goal.
  private func expectSound(_ before: [PlacedAccount], _ world: PlacementWorld) {
    for (old, new) in zip(before, world.accounts) {
      #expect(new.voters.allSatisfy { new.rules.allows(region: $0.region) })
      #expect(Set(new.voters.map(\.node)).count == new.voters.count)
      #expect(isNoWorse(survival(new), than: survival(old), new.rules.goal))
    }
  }

  @Test("replicas on a node that is long dead are replaced, never outside the residency nor with a smaller set")
  func replacement() {
    var movedCount = 0
    var stuckCount = 0
    for seed in 1...700 {
      var world = PlacementWorld(seed: UInt64(seed))
      world.fill(20)
      for i in world.nodes.indices where world.random.oneIn(4) {
        world.nodes[i].health = .dead(since: Instant(nanoseconds: 0))
      }
      var early = Placement(nodes: world.nodes)
      let soon = early.repair(world.accounts, at: Instant(nanoseconds: 1))
      #expect(soon.moves.allSatisfy { $0.reason == .growth } && soon.stuck.isEmpty)
      var placement = Placement(nodes: world.nodes, policy: policy())
      let plan = placement.repair(world.accounts, at: later)
      let before = world.accounts
      world.begin(plan)
      for account in world.accounts where account.pending != nil {
        let living = Set(account.voters.map(\.node).filter { !world.node($0)!.isDead })
        #expect(VoterSet(goal: account.rules.goal, voters: account.voters).isWriteSet(living))
      }
      world.finish()
      expectSound(before, world)
      for (old, new) in zip(before, world.accounts) { #expect(new.voters.count >= old.voters.count) }
      for move in plan.moves { #expect(move.add.allSatisfy { !world.node($0)!.isDead }) }
      let dead = Set(world.nodes.filter(\.isDead).map(\.id))
      for account in world.accounts where account.voters.contains(where: { dead.contains($0.node) }) {
        #expect(plan.stuck.contains { $0.account == account.id })
      }
      for stuck in plan.stuck where stuck.reason.code == .noWriteSet {
        let account = world.accounts.first { $0.id == stuck.account }!
        let living = Set(account.voters.map(\.node)).subtracting(dead)
        #expect(!VoterSet(goal: account.rules.goal, voters: account.voters).isWriteSet(living))
      }
      var again = Placement(nodes: world.nodes, policy: policy())
      #expect(again.repair(world.accounts, at: later).moves.isEmpty)
      movedCount += plan.moves.count { $0.reason == .lost }
      stuckCount += plan.stuck.count
    }
    #expect(movedCount > 400 && stuckCount > 400)
  }

  @Test("a cluster that grows from one node to five gives its accounts the voters they asked for")
  func growth() {
    for seed in 1...200 {
      var world = PlacementWorld(seed: UInt64(seed), nodesMax: 1)
      world.fill(10, rules: PlacementRules(votersCount: seed % 2 == 0 ? 5 : nil))
      #expect(world.accounts.allSatisfy { $0.voters.count == 1 })
      for n in 2...5 {
        world.nodes.append(PlacementNode(id: NodeID(from: &world.random), name: "m\(n)", region: "eu"))
        var placement = Placement(nodes: world.nodes, policy: policy())
        world.begin(placement.repair(world.accounts, at: later))
        world.finish()
      }
      #expect(world.accounts.allSatisfy { $0.voters.count == $0.rules.votersWanted && survival($0).holds(.node) })
    }
  }

  @Test(
    "2+2 in two regions becomes a set in three when a third region comes, and residency that changes moves replicas")
  func betterSets() throws {
    var random = SeededGenerator(seed: 3)
    var nodes = ["eu", "eu", "us", "us"].map { PlacementNode(id: NodeID(from: &random), name: $0, region: $0) }
    let rules = PlacementRules(goal: .region, acceptsWritesStop: true)
    let choice = try Placement(nodes: nodes).choose(AccountID(bits: 9), rules)
    var account = PlacedAccount(id: AccountID(bits: 9), rules: rules, voters: choice.voters, primary: choice.primary)
    nodes += ["ap", "ap"].map { PlacementNode(id: NodeID(from: &random), name: $0, region: $0) }
    var placement = Placement(nodes: nodes)
    let move = try #require(placement.repair([account], at: later).moves.first)
    account.voters = (account.voters.map(\.node).filter { !move.remove.contains($0) } + move.add).map { id in
      Voter(node: id, region: nodes.first { $0.id == id }!.region)
    }
    #expect(move.reason == .growth && survival(account).holds(.region) && move.add.count == 1)
    account.rules = PlacementRules(goal: .node, residency: ["ap", "eu"])
    placement = Placement(nodes: nodes)
    let home = try #require(placement.repair([account], at: later).moves.first)
    #expect(home.reason == .residency)
    #expect(home.remove.allSatisfy { id in nodes.first { $0.id == id }!.region == "us" })
  }

  @Test("one voter becomes three for a wider goal; fewer do for a narrow residency; another home draws a voter there")
  func wishes() throws {
    var random = SeededGenerator(seed: 4)
    let nodes = ["eu", "us", "ap", "ap"].map { PlacementNode(id: NodeID(from: &random), name: $0, region: $0) }
    let voters = nodes.map { Voter(node: $0.id, region: $0.region) }
    var account = PlacedAccount(
      id: AccountID(bits: 9), rules: PlacementRules(goal: .region), voters: [voters[0]], primary: voters[0].node,
      goalHeld: SurvivalGoal.none)
    var placement = Placement(nodes: nodes)
    let grown = try #require(placement.repair([account], at: later).moves.first)
    #expect(grown.reason == .growth && grown.add.count == 2 && grown.remove.isEmpty)

    account.voters = Array(voters[..<3])
    account.rules = PlacementRules(goal: .none, homeRegion: "us", residency: ["us"])
    placement = Placement(nodes: nodes)
    let narrow = try #require(placement.repair([account], at: later).moves.first)
    #expect(narrow.add.isEmpty && Set(narrow.remove) == [voters[0].node, voters[2].node])
    account.rules.goal = .node
    let stuck = placement.repair([account], at: later)
    #expect(stuck.moves.isEmpty && stuck.stuck.count == 1)

    account.voters = [voters[0], voters[2], voters[3]]
    account.rules = PlacementRules(goal: .node, homeRegion: "us")
    placement = Placement(nodes: nodes)
    #expect(placement.repair([account], at: later).moves.isEmpty)
    let home = try #require(placement.homecomings([account]).moves.first)
    #expect(home.reason == .home && home.add == [voters[1].node] && home.remove != [account.primary])
    account.voters = Array(voters[..<3])
    #expect(placement.homecomings([account]).moves.isEmpty)
  }

  @Test("a primary that drains, or is no voter any more, gives its account to a voter that stays")
  func retreats() {
    var random = SeededGenerator(seed: 5)
    var nodes = ["eu", "us", "ap", "ap"].map { PlacementNode(id: NodeID(from: &random), name: $0, region: $0) }
    let voters = nodes.map { Voter(node: $0.id, region: $0.region) }
    var account = PlacedAccount(
      id: AccountID(bits: 9), rules: PlacementRules(homeRegion: "us"), voters: Array(voters[..<3]),
      primary: voters[0].node)
    #expect(Placement(nodes: nodes).retreat(of: account) == nil)
    account.primary = voters[3].node
    #expect(Placement(nodes: nodes).retreat(of: account) == voters[1].node)
    account.nextVoters = voters
    #expect(Placement(nodes: nodes).retreat(of: account) == nil)
    account.nextVoters = nil
    account.primary = voters[0].node
    nodes[0].state = .draining
    #expect(Placement(nodes: nodes).retreat(of: account) == voters[1].node)
    for i in nodes.indices { nodes[i].state = .draining }
    #expect(Placement(nodes: nodes).retreat(of: account) == nil)
  }

  @Test("every step of every move keeps the goal, under the old and the new voters, and the move ends as asked")
  func steps() {
    var seen: [String: Int] = [:]
    for seed in 1...500 {
      var world = PlacementWorld(seed: UInt64(seed))
      world.fill(8)
      world.nodes[0].state = .draining
      var placement = Placement(nodes: world.nodes, policy: policy())
      let plan = placement.drain(world.nodes[0].id, world.accounts)
      world.begin(plan)
      for account in world.accounts {
        guard let move = account.pending else { continue }
        let before = survival(account)
        var now = account
        var caughtUp: Set<NodeID> = []
        var count = 0
        while let step = placement.nextStep(of: now, caughtUp: caughtUp), count < 30 {
          count += 1
          seen[String("\(step)".prefix { $0 != "(" }), default: 0] += 1
          if case .changeVoters(let next) = step {
            #expect(next.allSatisfy { v in now.voters.contains(v) || caughtUp.contains(v.node) })
          }
          PlacementWorld.take(step, &now, &caughtUp)
          for set in now.voterSets {
            let kept = Survival(set)
            #expect(isNoWorse(kept, than: before, now.rules.goal))
          }
          #expect(now.voters.contains { $0.node == now.primary } || now.nextVoters != nil)
        }
        #expect(count < 30)
        #expect(move.remove.allSatisfy { !now.hasReplica(on: $0) })
        #expect(move.add.allSatisfy { node in now.voters.contains { $0.node == node } })
        #expect(now.voters.contains { $0.node == now.primary })
      }
    }
    for kind in ["addLearner", "waitForLearner", "handOver", "changeVoters", "waitForCommit", "removeLearner"] {
      #expect(seen[kind, default: 0] > 100, "\(kind) \(seen)")
    }
  }

  @Test("no second move while one is under way; one that waits for a lost node is given up, unless it is decided")
  func pending() {
    var world = PlacementWorld(seed: 5)
    world.nodes = (0..<5).map { PlacementNode(id: NodeID(bits: UInt128($0 + 1)), name: "n\($0)", region: "eu") }
    world.accounts = []
    world.fill(1, rules: PlacementRules())
    let voters = world.accounts[0].voters.map(\.node)
    let free = world.nodes.map(\.id).filter { !voters.contains($0) }
    let move = PlacementMove(account: world.accounts[0].id, add: [free[0]], remove: [voters[0]], reason: .drain)
    world.accounts[0].pending = move
    let lost = world.nodes.firstIndex { $0.id == free[0] }!
    world.nodes[lost].health = .dead(since: Instant(nanoseconds: 0))
    var placement = Placement(nodes: world.nodes)
    #expect(placement.drain(voters[0], world.accounts).moves.isEmpty)
    #expect(placement.repair(world.accounts, at: Instant(nanoseconds: 1)).hopeless.isEmpty)
    #expect(placement.repair(world.accounts, at: later).hopeless == [world.accounts[0].id])
    world.accounts[0].nextVoters = world.accounts[0].voters
    #expect(placement.repair(world.accounts, at: later).hopeless.isEmpty)
    #expect(placement.nextStep(of: world.accounts[0], caughtUp: []) == .waitForCommit)
  }

  @Test("a dead primary waits for failover, a living one hands over before it leaves")
  func primary() {
    var world = PlacementWorld(seed: 6)
    world.nodes = (0..<4).map { PlacementNode(id: NodeID(bits: UInt128($0 + 1)), name: "n\($0)", region: "eu") }
    world.accounts = []
    world.fill(1, rules: PlacementRules())
    var account = world.accounts[0]
    let free = world.nodes.map(\.id).first { node in !account.voters.contains { $0.node == node } }!
    let primary = account.primary!
    account.pending = PlacementMove(account: account.id, add: [free], remove: [primary], reason: .drain)
    account.learners = [free]
    guard case .handOver(let heir) = Placement(nodes: world.nodes).nextStep(of: account, caughtUp: [free]) else {
      Issue.record("no hand-over")
      return
    }
    #expect(heir != primary && account.voters.contains { $0.node == heir })
    world.nodes[world.nodes.firstIndex { $0.id == primary }!].health = .dead(since: Instant(nanoseconds: 0))
    #expect(Placement(nodes: world.nodes).nextStep(of: account, caughtUp: [free]) == .waitForPrimary)
  }
}
