// Making whole again: replicas on nodes that are gone for good, replicas where residency forbids them, and accounts
// that could have more voters, or voters that survive more, than they have.
//
// A change of voters needs a write set of the old ones, so an account that has lost it is reported, not moved: making
// its set smaller would invent an acknowledgement that nobody gave.

package import Base
import Formats

extension Placement {
  /// What to begin now, at the caller's `now` (the clock that `Health.dead(since:)` was read from).
  package mutating func repair(_ accounts: [PlacedAccount], at now: Instant) -> PlacementPlan {
    var plan = PlacementPlan()
    let lost = nodes.map { $0.isLost(at: now, patience: policy.replaceAfter) }
    let limit = max(0, policy.repairsAtOnce - accounts.count { $0.pending != nil })
    for account in accounts {
      if let pending = account.pending {
        plan.underWayCount += 1
        if isHopeless(pending, of: account, lost) { plan.hopeless.append(account.id) }
        continue
      }
      do throws(PlacementError) {
        guard let move = try repair(account, lost) else { continue }
        plan.append(move, limit: limit)
        count(move)
      } catch {
        plan.stuck.append(StuckAccount(account: account.id, reason: error))
      }
    }
    return plan
  }

  private func repair(_ account: PlacedAccount, _ lost: [Bool]) throws(PlacementError) -> PlacementMove? {
    let gone = (account.voters.map(\.node) + account.learners).filter { node in
      index(of: node).map { lost[$0] } ?? true
    }
    if !gone.isEmpty { return try substitute(for: gone, of: account, reason: .lost) }
    let foreign = account.voters.filter { !account.rules.allows(region: $0.region) }.map(\.node)
    if !foreign.isEmpty { return try leave(foreign, account) }
    return growth(of: account)
  }

  /// Fewer voters will do where the residency has no node for each of them, as long as those that stay hold the goal.
  private func leave(_ foreign: [NodeID], _ account: PlacedAccount) throws(PlacementError) -> PlacementMove {
    do throws(PlacementError) {
      return try substitute(for: foreign, of: account, reason: .residency)
    } catch {
      let staying = account.voters.filter { !foreign.contains($0.node) }
      guard error.code == .tooFewNodes, !staying.isEmpty,
        Survival(VoterSet(goal: account.rules.goal, voters: staying)).holds(account.rules.goal)
      else { throw error }
      return PlacementMove(account: account.id, add: [], remove: foreign, reason: .residency)
    }
  }

  /// A voter in the home region for accounts that have none there, where a node there may hold them: another home was
  /// wished for.
  package mutating func homecomings(_ accounts: [PlacedAccount]) -> PlacementPlan {
    var plan = PlacementPlan()
    plan.underWayCount = accounts.count { $0.pending != nil }
    let limit = max(0, policy.movesAtOnce - plan.underWayCount)
    for account in accounts where account.pending == nil && account.nextVoters == nil {
      guard let home = account.rules.homeRegion, !account.voters.contains(where: { $0.region == home }) else {
        continue
      }
      // The primary last: the others can go without a hand-over.
      var move: PlacementMove?
      for voter in account.voters.sorted(by: { $0.node != account.primary && $1.node == account.primary })
      where move == nil {
        move = try? substitute(for: [voter.node], of: account, reason: .home, into: home)
      }
      guard let move else { continue }
      plan.append(move, limit: limit)
      count(move)
    }
    return plan
  }

  /// A pending move whose new voters will never catch up. Once the change is in the control store it must be finished.
  private func isHopeless(_ move: PlacementMove, of account: PlacedAccount, _ lost: [Bool]) -> Bool {
    guard account.nextVoters == nil else { return false }
    return move.add.contains { node in
      guard !account.voters.contains(where: { $0.node == node }) else { return false }
      return index(of: node).map { lost[$0] || nodes[$0].state != .active } ?? true
    }
  }

  /// More voters, or better ones, where that is possible by now; nil when nothing is gained.
  private func growth(of account: PlacedAccount) -> PlacementMove? {
    let before = Survival(VoterSet(goal: account.rules.goal, voters: account.voters))
    guard account.voters.count < account.rules.votersWanted || !before.holds(account.rules.goal) else { return nil }
    let kept = account.voters.compactMap { index(of: $0.node) }
    guard answers(account), kept.count == account.voters.count else { return nil }
    if let more = newcomers(to: account, kept, before) {
      return PlacementMove(account: account.id, add: more.map { nodes[$0].id }, remove: [], reason: .growth)
    }
    // Nothing can be added to these voters that helps: others may survive more, as with 2+2 in two regions and a third.
    let eligible = Set(candidates(account.rules)).union(kept).sorted()
    guard let best = best(account.id, account.rules, eligible: eligible, kept: Set(kept)),
      best.survival.isBetter(than: before), before.mayBecome(best.survival, goal: account.rules.goal)
    else { return nil }
    let add = best.nodes.filter { !kept.contains($0) }.map { nodes[$0].id }
    // Voters that only leave would make write sets smaller without anything taking their place.
    guard !add.isEmpty else { return nil }
    let remove = kept.filter { !best.nodes.contains($0) }.map { nodes[$0].id }
    return PlacementMove(account: account.id, add: add, remove: remove, reason: .growth)
  }

  /// Nodes to add to the voters as they are: as many as wanted, or fewer if those help.
  private func newcomers(to account: PlacedAccount, _ kept: [Int], _ before: Survival) -> [Int]? {
    let free = candidates(account.rules).filter { !kept.contains($0) }
    for size in counts(account.rules) where size > kept.count && size <= account.rules.votersWanted {
      let picked = pick(size - kept.count, from: free, beside: kept, account: account.id, account.rules)
      let after = Survival(goal: account.rules.goal, regions: (kept + picked).map { regionOf[$0] })
      let isEnough = after.holds(account.rules.goal) || after.isBetter(than: before)
      guard picked.count == size - kept.count, isEnough else { continue }
      if before.mayBecome(after, goal: account.rules.goal) { return picked }
    }
    return nil
  }
}
