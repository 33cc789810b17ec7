// Evening out with the fewest moves: it begins only where two nodes differ by more than a wide gap, and then brings the
// one that is out of line (an empty new node, a crowded one) to the mean and leaves the others as they are.
//
// That makes it calm: after a plan is carried out no replica that may move sees a difference above the wide gap, so a
// second plan is empty, and what was evened out stays away from the edge where it would begin again. Each move goes
// from more to less by at least two and so lessens the sum of the squared counts, which proves that it ends; where any
// replica may go anywhere, no more move than lie above the mean.

import Base
import Formats

extension Placement {
  package mutating func rebalance(_ accounts: [PlacedAccount]) -> PlacementPlan {
    var plan = PlacementPlan()
    plan.underWayCount = accounts.count { $0.pending != nil }
    let limit = max(0, policy.movesAtOnce - plan.underWayCount)
    var balancer = Rebalancer(self, accounts)
    balancer.run()
    for move in balancer.moves() {
      plan.append(move, limit: limit)
      count(move)
    }
    return plan
  }
}

/// The counts, voters and impossible pairs of one run.
struct Rebalancer {
  private let placement: Placement
  private let accounts: [PlacedAccount]
  /// By account: node numbers; empty for an account that is left alone.
  private var voters: [[Int]]
  /// By node: accounts in the order in which they are tried, by hash, so that large and small go alike.
  private var held: [[Int]]
  private var counts: [Int]
  private let participants: [Int]
  private let canReceive: [Bool]
  /// From and to: nothing on `from` may go to `to`.
  private var blocked: [Bool]
  /// By node: load and disk in thousandths.
  private let work: [Int]
  /// By node: differed by more than the wide gap and is being brought to the mean.
  private var outOfLine: [Bool]
  private let mean: Int
  private let beginGap: Int
  private let endGap: Int

  /// Nothing goes to a node that is busier by more. The numbers of replicas are evened out and not the load, which
  /// follows the replicas with a delay: who chases it goes to and fro.
  private static let workSlack = 100

  init(_ placement: Placement, _ accounts: [PlacedAccount]) {
    let nodes = placement.nodes
    self.placement = placement
    self.accounts = accounts
    participants = nodes.indices.filter { nodes[$0].state == .active && !nodes[$0].isDead }
    canReceive = nodes.map { $0.diskFillPermille < placement.policy.diskFillPermilleMax && $0.health == .alive }
    work = nodes.map { $0.loadPermille + $0.diskFillPermille }
    voters = accounts.map { account in
      let found = account.voters.compactMap { placement.index(of: $0.node) }
      let isMovable = account.pending == nil && account.nextVoters == nil && found.count == account.voters.count
      return isMovable && placement.answers(account) ? found : []
    }
    counts = nodes.map { _ in 0 }
    held = nodes.map { _ in [] }
    for (a, account) in accounts.enumerated() {
      for i in Rebalancer.final(account).compactMap(placement.index(of:)) { counts[i] += 1 }
      for i in voters[a] { held[i].append(a) }
    }
    for i in held.indices {
      let id = nodes[i].id
      held[i] = held[i].map { (Placement.hash(accounts[$0].id, id), $0) }.sorted { $0 < $1 }.map(\.1)
    }
    blocked = [Bool](repeating: false, count: nodes.count * nodes.count)
    outOfLine = [Bool](repeating: false, count: nodes.count)
    mean = participants.isEmpty ? 0 : participants.reduce(0) { [counts] in $0 + counts[$1] } / participants.count
    endGap = max(1, mean * placement.policy.balanceEndsPermille / 1000)
    beginGap = max(endGap, 2, mean * placement.policy.balanceBeginsPermille / 1000)
  }

  /// Where an account's voters will be once what is under way is done.
  private static func final(_ account: PlacedAccount) -> [NodeID] {
    guard let move = account.pending else { return account.voters.map(\.node) }
    let staying = account.voters.map(\.node).filter { !move.remove.contains($0) }
    return staying + move.add.filter { !staying.contains($0) }
  }

  mutating func run() {
    while let (from, to) = widestPair() {
      guard let a = held[from].first(where: { mayMove($0, from, to) }) else {
        blocked[from * counts.count + to] = true
        continue
      }
      if counts[from] - counts[to] > beginGap {
        if counts[from] - mean > mean - counts[to] { outOfLine[from] = true } else { outOfLine[to] = true }
      }
      move(a, from, to)
    }
  }

  /// The pair with the greatest difference that calls for a move and is not known to be impossible.
  private func widestPair() -> (Int, Int)? {
    var best: (Int, Int)?
    var widest = 0
    for from in participants {
      for to in participants where canReceive[to] && counts[from] - counts[to] > widest {
        let isBegun = outOfLine[from] && counts[from] > mean || outOfLine[to] && counts[to] < mean
        guard counts[from] - counts[to] > (isBegun ? endGap : beginGap) else { continue }
        if blocked[from * counts.count + to] { continue }
        (widest, best) = (counts[from] - counts[to], (from, to))
      }
    }
    return best
  }

  private mutating func move(_ a: Int, _ from: Int, _ to: Int) {
    voters[a][voters[a].firstIndex(of: from)!] = to
    counts[from] -= 1
    counts[to] += 1
    held[from].remove(at: held[from].firstIndex(of: a)!)
    held[to].append(a)
    // Only this account can have made an impossible pair possible.
    for holder in voters[a] {
      for other in participants where blocked[holder * counts.count + other] && mayMove(a, holder, other) {
        blocked[holder * counts.count + other] = false
      }
    }
  }

  /// Never outside the residency, nor to less survival, fewer zones or fewer voters at home.
  private func mayMove(_ a: Int, _ from: Int, _ to: Int) -> Bool {
    let (set, rules) = (voters[a], accounts[a].rules)
    let regionOf = placement.regionOf
    guard work[to] <= work[from] + Rebalancer.workSlack, !set.contains(to),
      !accounts[a].learners.contains(placement.nodes[to].id),
      rules.allows(region: placement.nodes[to].region)
    else { return false }
    if zonesCount(set, replacing: from, by: to) < zonesCount(set, replacing: from, by: from) { return false }
    if regionOf[from] == regionOf[to] { return true }
    guard !leavesHome(set, from, rules) else { return false }
    let before = Survival(goal: rules.goal, regions: set.map { regionOf[$0] })
    let after = Survival(goal: rules.goal, regions: set.map { regionOf[$0 == from ? to : $0] })
    return before.mayBecome(after, goal: rules.goal)
  }

  /// A voter less in the home region, or in the one region that has a majority: writes would wait for longer ways.
  private func leavesHome(_ set: [Int], _ from: Int, _ rules: PlacementRules) -> Bool {
    if let home = rules.homeRegion { return home == placement.nodes[from].region }
    let here = set.count { placement.regionOf[$0] == placement.regionOf[from] }
    return rules.goal != .region && here == set.count / 2 + 1
  }

  private func zonesCount(_ set: [Int], replacing from: Int, by to: Int) -> Int {
    let zoneOf = placement.zoneOf
    var seen = 0
    for (position, i) in set.enumerated() {
      let zone = zoneOf[i == from ? to : i]
      if !set[..<position].contains(where: { zoneOf[$0 == from ? to : $0] == zone }) { seen += 1 }
    }
    return seen
  }

  /// What has changed, one move per account.
  func moves() -> [PlacementMove] {
    accounts.indices.compactMap { a in
      guard !voters[a].isEmpty else { return nil }
      let old = accounts[a].voters.map(\.node)
      let new = voters[a].map { placement.nodes[$0].id }
      let add = new.filter { !old.contains($0) }
      guard !add.isEmpty else { return nil }
      return PlacementMove(
        account: accounts[a].id, add: add, remove: old.filter { !new.contains($0) }, reason: .balance)
    }
  }
}
