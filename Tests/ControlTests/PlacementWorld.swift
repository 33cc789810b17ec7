// Random clusters and accounts for the property tests of placement, and the carrying out of moves step by step.

import Base
import Control
import Formats

struct PlacementWorld {
  var random: SeededGenerator
  var nodes: [PlacementNode] = []
  var accounts: [PlacedAccount] = []

  static let regions = ["ap", "eu", "sa", "us"]

  /// `sick`: nodes may be suspect, dead, draining or nearly full.
  init(seed: UInt64, sick: Bool = false, nodesMax: Int = 14) {
    random = SeededGenerator(seed: seed)
    let regions = 1 + random.below(4)
    for n in 0..<(1 + random.below(nodesMax)) {
      let region = PlacementWorld.regions[random.below(regions)]
      var node = PlacementNode(
        id: NodeID(from: &random), name: "n\(n)", region: region,
        zone: random.oneIn(4) ? "" : ["a", "b", "c"][random.below(3)], loadPermille: random.below(700),
        diskFillPermille: random.below(800))
      if sick {
        if random.oneIn(6) { node.health = .suspect }
        if random.oneIn(6) { node.health = .dead(since: Instant(nanoseconds: 0)) }
        if random.oneIn(8) { node.state = .draining }
        if random.oneIn(8) { node.diskFillPermille = 950 }
      }
      nodes.append(node)
    }
  }

  mutating func rules() -> PlacementRules {
    let goal = SurvivalGoal.allCases[random.below(3)]
    var residency = PlacementWorld.regions.filter { _ in random.oneIn(2) }
    if random.oneIn(2) { residency = [] }
    let homes = residency.isEmpty ? PlacementWorld.regions : residency
    return PlacementRules(
      goal: goal, homeRegion: random.oneIn(2) ? nil : homes[random.below(homes.count)], residency: residency,
      votersCount: random.oneIn(2) ? nil : goal == .none ? 1 : 3 + 2 * random.below(3),
      acceptsWritesStop: random.oneIn(3))
  }

  /// Places up to `count` accounts; refusals are left out.
  mutating func fill(_ count: Int, rules fixed: PlacementRules? = nil) {
    var placement = Placement(nodes: nodes)
    for _ in 0..<count {
      let id = AccountID(from: &random)
      let rules = fixed ?? self.rules()
      guard let choice = try? placement.place(id, rules) else { continue }
      accounts.append(PlacedAccount(id: id, rules: rules, voters: choice.voters, primary: choice.primary))
    }
    nodes = placement.nodes
  }

  func node(_ id: NodeID) -> PlacementNode? { nodes.first { $0.id == id } }

  /// Begins the moves of a plan.
  mutating func begin(_ plan: PlacementPlan) {
    for move in plan.moves {
      accounts[accounts.firstIndex { $0.id == move.account }!].pending = move
    }
  }

  /// Carries every pending move out at once, without its steps.
  mutating func finish() {
    for i in accounts.indices {
      guard let move = accounts[i].pending else { continue }
      accounts[i].voters.removeAll { move.remove.contains($0.node) }
      accounts[i].learners.removeAll { move.remove.contains($0) || move.add.contains($0) }
      accounts[i].voters += move.add.map { Voter(node: $0, region: node($0)!.region) }
      accounts[i].pending = nil
    }
    recount()
  }

  mutating func recount() {
    for i in nodes.indices {
      let id = nodes[i].id
      nodes[i].accountsCount = accounts.count { $0.voters.contains { $0.node == id } }
    }
  }

  /// Does one step to an account as the owner of the shard would; false when there is none to do.
  static func take(_ step: PlacementStep, _ account: inout PlacedAccount, _ caughtUp: inout Set<NodeID>) {
    switch step {
    case .addLearner(let node): account.learners.append(node)
    case .waitForLearner(let node): caughtUp.insert(node)
    case .handOver(let node): account.primary = node
    case .changeVoters(let voters): account.nextVoters = voters
    case .waitForCommit:
      let next = account.nextVoters!
      account.learners += account.voters.filter { !next.contains($0) }.map(\.node)
      account.learners.removeAll { node in next.contains { $0.node == node } }
      account.voters = next
      account.nextVoters = nil
    case .removeLearner(let node): account.learners.removeAll { $0 == node }
    case .waitForPrimary: account.primary = nil
    }
  }
}

func survival(_ account: PlacedAccount) -> Survival {
  Survival(VoterSet(goal: account.rules.goal, voters: account.voters))
}
