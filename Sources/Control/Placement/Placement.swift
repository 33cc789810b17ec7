// Where replicas are put: the nodes as one prepared value, and the order in which they are preferred.
//
// Everything that is planned goes through one ranking of nodes (`rank`): what the goal needs first, then health, home
// region, zones, and last a cost of load, disk, number of replicas and a hash of account and node (rendezvous hashing,
// Thaler and Ravishankar 1998), so that equal nodes share evenly and the same input gives the same plan everywhere.
// Planned moves are counted at once, so that one plan does not heap everything on the emptiest node. Residency filters
// before anything is ranked.

package import Base
package import Formats

package struct Placement: Sendable {
  package let policy: PlacementPolicy
  /// By id.
  package private(set) var nodes: [PlacementNode]
  private var index: [NodeID: Int] = [:]
  private var regionNames: [String] = []
  /// By node: its region and its zone as numbers.
  private(set) var regionOf: [Int] = []
  private(set) var zoneOf: [Int] = []
  private var replicasTotal = 0
  private var activeCount = 0

  package init(nodes: [PlacementNode], policy: PlacementPolicy = PlacementPolicy()) {
    self.policy = policy
    self.nodes = nodes.sorted { $0.id < $1.id }
    var zones: [String: Int] = [:]
    for (i, node) in self.nodes.enumerated() {
      index[node.id] = i
      regionOf.append(number(ofRegion: node.region))
      // A node without a zone is one of its own: numbers below zero are never shared.
      zoneOf.append(node.zone.isEmpty ? -1 - i : zones["\(node.region)/\(node.zone)", default: zones.count])
      if !node.zone.isEmpty { zones["\(node.region)/\(node.zone)"] = zoneOf[i] }
      replicasTotal += node.accountsCount
      if node.state == .active { activeCount += 1 }
    }
  }

  /// Nil for a node that nobody knows: it counts as removed.
  func index(of node: NodeID) -> Int? { index[node] }

  func voter(_ i: Int) -> Voter { Voter(node: nodes[i].id, region: nodes[i].region) }

  func isLiving(_ i: Int) -> Bool { nodes[i].state != .removed && !nodes[i].isDead }

  /// How many nodes there are, removed ones apart.
  var presentCount: Int { nodes.count { $0.state != .removed } }

  /// Notes that a replica will come or go, so that what is planned next reckons with it.
  mutating func count(_ change: Int, on node: NodeID) {
    guard let i = index[node] else { return }
    nodes[i].accountsCount += change
    replicasTotal += change
  }

  mutating func count(_ move: PlacementMove) {
    for node in move.add { count(1, on: node) }
    for node in move.remove { count(-1, on: node) }
  }

  private mutating func number(ofRegion name: String) -> Int {
    if let known = regionNames.firstIndex(of: name) { return known }
    regionNames.append(name)
    return regionNames.count - 1
  }

  // MARK: Candidates and their order

  /// Nodes that may take a replica under `rules`; the dead only where the caller has a use for them.
  func candidates(_ rules: PlacementRules, dead: Bool = false) -> [Int] {
    let allowed = regionNames.map { rules.allows(region: $0) }
    return nodes.indices.filter { i in
      let node = nodes[i]
      return node.state == .active && allowed[regionOf[i]] && node.diskFillPermille < policy.diskFillPermilleMax
        && (dead || !node.isDead)
    }
  }

  /// The `count` best of `candidates` beside the voters that stay, one after the other; fewer when there are not
  /// enough. Nodes in `kept` win against equals: what an account has already costs nothing.
  func pick(
    _ count: Int, from candidates: [Int], beside staying: [Int] = [], kept: Set<Int> = [], account: AccountID,
    _ rules: PlacementRules
  ) -> [Int] {
    let costs = candidates.map { kept.contains($0) ? -1 : cost($0, account: account) }
    let home = rules.homeRegion.map { regionNames.firstIndex(of: $0) ?? -1 }
    var chosen = staying
    while chosen.count < staying.count + count {
      var best: (Rank, Int)?
      for (position, i) in candidates.enumerated() where !chosen.contains(i) {
        let rank = rank(
          i, beside: chosen, home: home ?? chosen.first.map { regionOf[$0] } ?? regionOf[i],
          isKept: costs[position] < 0, cost: costs[position], goal: rules.goal)
        if best.map({ rank < $0.0 }) ?? true { best = (rank, i) }
      }
      guard let best else { break }
      chosen.append(best.1)
    }
    return Array(chosen.dropFirst(staying.count))
  }

  typealias Rank = (Int, Int, Int, Int, Int)

  /// Less is better. Equal ranks go to the lesser id.
  private func rank(_ i: Int, beside chosen: [Int], home: Int, isKept: Bool, cost: Int, goal: SurvivalGoal) -> Rank {
    var sameRegion = 0
    var sameZone = 0
    for other in chosen {
      if regionOf[other] == regionOf[i] { sameRegion += 1 }
      if zoneOf[other] == zoneOf[i] { sameZone += 1 }
    }
    let illness = isKept ? 0 : illness(i)
    let abroad = regionOf[i] == home ? 0 : 1
    return goal == .region ? (sameRegion, illness, abroad, sameZone, cost) : (0, illness, abroad, sameZone, cost)
  }

  private func illness(_ i: Int) -> Int {
    switch nodes[i].health {
    case .alive: 0
    case .suspect: 1
    case .dead: 2
    }
  }

  /// About 0 to 3000: load and disk in thousandths, the replicas as thousandths of twice the mean, and up to 100 by
  /// hash, which is what spreads accounts over nodes that are about equal.
  private func cost(_ i: Int, account: AccountID) -> Int {
    let node = nodes[i]
    let share = replicasTotal > 0 ? node.accountsCount * 500 * activeCount / replicasTotal : 0
    return node.loadPermille + node.diskFillPermille + max(0, share) + Placement.hash(account, node.id, below: 100)
  }

  static func hash(_ account: AccountID, _ node: NodeID, below bound: UInt64) -> Int {
    Int(hash(account, node) % bound)
  }

  /// The rendezvous of an account and a node: the same on every machine and in every release.
  static func hash(_ account: AccountID, _ node: NodeID) -> UInt64 {
    var mixed: UInt64 = 0
    for bits in [account.bits, node.bits] {
      for word in [UInt64(truncatingIfNeeded: bits >> 64), UInt64(truncatingIfNeeded: bits)] {
        var generator = SeededGenerator(seed: mixed ^ word)
        mixed = generator.next()
      }
    }
    return mixed
  }

  // MARK: The primary

  /// The best of `voters` to lead: one that answers, stays, is in the home region, and has least to do. Nil when none
  /// answers.
  package func primary(of account: AccountID, _ rules: PlacementRules, among voters: [Voter]) -> NodeID? {
    var best: (Rank, Int)?
    for voter in voters {
      guard let i = index[voter.node], isLiving(i) else { continue }
      let abroad = rules.homeRegion.map { $0 == nodes[i].region ? 0 : 1 } ?? 0
      let load = nodes[i].loadPermille + Placement.hash(account, nodes[i].id, below: 100)
      let rank = (illness(i), nodes[i].state == .active ? 0 : 1, abroad, load, i)
      if best.map({ rank < $0.0 }) ?? true { best = (rank, i) }
    }
    return best.map { nodes[$0.1].id }
  }
}
