// The voters of a new account, or a refusal that says what would help.
//
// The number of voters that was asked for is tried first, then fewer that still hold the goal. What holds less than the
// goal is accepted in two cases only: the operator agreed that writes stop at a loss, or the cluster itself has fewer
// than three nodes, where `survives` says what that means.

package import Base
package import Formats

/// Where a new account goes. `survival` is what these voters really survive.
package struct PlacementChoice: Sendable, Equatable {
  package var voters: [Voter]
  package var primary: NodeID
  package var survival: Survival
}

extension Placement {
  package func choose(_ account: AccountID, _ rules: PlacementRules) throws(PlacementError) -> PlacementChoice {
    try check(rules)
    let eligible = candidates(rules, dead: true)
    guard !eligible.isEmpty else { throw refusal(rules, eligible) }
    let best = best(account, rules, eligible: eligible, kept: [])
    guard let best else {
      throw PlacementError(
        .noWriteSet,
        "too few of the nodes that may hold the account answer: bring nodes in \(regionsText(rules)) back, or add some")
    }
    guard best.survival.holds(rules.goal) || accepts(best.survival, rules, eligible) else {
      throw refusal(rules, eligible)
    }
    let voters = best.nodes.map(voter)
    guard let primary = primary(of: account, rules, among: voters) else {
      throw PlacementError(.noWriteSet, "none of the nodes that may hold the account answers: see `cluster status`")
    }
    return PlacementChoice(voters: voters, primary: primary, survival: best.survival)
  }

  /// `choose`, and what follows reckons with it.
  package mutating func place(_ account: AccountID, _ rules: PlacementRules) throws(PlacementError) -> PlacementChoice {
    let choice = try choose(account, rules)
    for voter in choice.voters { count(1, on: voter.node) }
    return choice
  }

  /// The first set that holds the goal, else the one that survives most; only sets that can be written now. Nodes in
  /// `kept` hold the account already.
  func best(
    _ account: AccountID, _ rules: PlacementRules, eligible: [Int], kept: Set<Int>
  ) -> (nodes: [Int], survival: Survival)? {
    var best: (nodes: [Int], survival: Survival)?
    for count in counts(rules) {
      let picked = pick(count, from: eligible, kept: kept, account: account, rules)
      guard picked.count == count, answers(picked, goal: rules.goal) else { continue }
      let survival = Survival(goal: rules.goal, regions: picked.map { regionOf[$0] })
      if survival.holds(rules.goal) { return (picked, survival) }
      if best.map({ survival.isBetter(than: $0.survival) }) ?? true { best = (picked, survival) }
    }
    return best
  }

  /// Numbers of voters to try: an even one wins nothing except in two regions, where 2+2 goes on after any one node.
  func counts(_ rules: PlacementRules) -> [Int] {
    switch rules.goal {
    case .none: rules.votersWanted == 1 ? [1] : [rules.votersWanted, 1]
    case .node: Array(stride(from: rules.votersWanted, through: 3, by: -2)) + [2, 1]
    case .region: Array(stride(from: rules.votersWanted, through: 3, by: -2)) + [4, 2]
    }
  }

  private func check(_ rules: PlacementRules) throws(PlacementError) {
    let wanted = rules.votersWanted
    guard (1...VoterSet.countMax).contains(wanted), wanted % 2 == 1, rules.goal == .none || wanted >= 3 else {
      throw PlacementError(
        .rules, "\(wanted) voters cannot hold the goal \(rules.goal): ask for 3, 5 or 7 (1 with the goal none)")
    }
    if let home = rules.homeRegion, !rules.allows(region: home) {
      throw PlacementError(
        .rules, "the home region \(home) is outside the residency \(regionsText(rules)): change one of them")
    }
  }

  /// Do those that answer make a write set?
  func answers(_ picked: [Int], goal: SurvivalGoal) -> Bool {
    VoterSet(goal: goal, voters: picked.map(voter)).isWriteSet(
      Set(picked.filter(isLiving).map { nodes[$0].id }))
  }

  func answers(_ account: PlacedAccount) -> Bool {
    let living = Set(account.voters.map(\.node).filter { index(of: $0).map(isLiving) ?? false })
    return VoterSet(goal: account.goalHeld, voters: account.voters).isWriteSet(living)
  }

  private func accepts(_ survival: Survival, _ rules: PlacementRules, _ eligible: [Int]) -> Bool {
    if rules.goal == .node && eligible.count == presentCount && eligible.count < 3 { return true }
    return rules.acceptsWritesStop && survival.data.rawValue >= rules.goal.rawValue
  }

  func regionsText(_ rules: PlacementRules) -> String {
    rules.residency.isEmpty ? "any region" : rules.residency.sorted().joined(separator: ", ")
  }

  /// What is missing for the goal, and what would help.
  func refusal(_ rules: PlacementRules, _ eligible: [Int]) -> PlacementError {
    let place = regionsText(rules)
    if eligible.isEmpty {
      return PlacementError(
        .tooFewNodes, "no active node with free disk may hold the account (\(place)): add a node there or free its disk"
      )
    }
    let regionsCount = Set(eligible.map { regionOf[$0] }).count
    if rules.goal == .region && regionsCount < 3 {
      let accept = regionsCount == 2 ? "accept that writes stop when one region is lost, or " : ""
      let found = "the goal region needs nodes in three regions and \(regionsCount) may hold the account (\(place))"
      return PlacementError(.tooFewRegions, "\(found): add a region, \(accept)ask for the goal node")
    }
    let way = eligible.count == 2 ? "accept that writes stop when one is lost" : "ask for the goal none"
    let found = "the goal \(rules.goal) needs three nodes and \(eligible.count) may hold the account (\(place))"
    return PlacementError(.tooFewNodes, "\(found): add a node, or \(way)")
  }
}
