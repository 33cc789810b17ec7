// Emptying a node: what moves elsewhere now, what waits its turn, and what cannot move and why.

package import Base
import Formats

extension Placement {
  /// The next moves that empty `node`. Call it again as moves end; when the plan `isDone` nothing of the accounts is
  /// left there. The node's state should be `draining` or `removed`, else new accounts go on arriving.
  package mutating func drain(_ node: NodeID, _ accounts: [PlacedAccount]) -> PlacementPlan {
    var plan = PlacementPlan()
    let limit = max(0, policy.movesAtOnce - accounts.count { $0.pending != nil })
    for account in accounts where account.hasReplica(on: node) {
      if account.pending != nil {
        plan.underWayCount += 1
        continue
      }
      do throws(PlacementError) {
        let move = try substitute(for: [node], of: account, reason: .drain)
        plan.append(move, limit: limit)
        count(move)
      } catch {
        plan.stuck.append(StuckAccount(account: account.id, reason: error))
      }
    }
    return plan
  }

  /// The move that takes the replicas on `out` elsewhere, into `region` where one is named; learners there are dropped
  /// without a successor.
  func substitute(
    for out: [NodeID], of account: PlacedAccount, reason: PlacementMove.Reason, into region: String? = nil
  ) throws(PlacementError) -> PlacementMove {
    let gone = account.voters.filter { out.contains($0.node) }
    guard answers(account) else {
      throw PlacementError(
        .noWriteSet, "too few voters of the account answer to change them: bring one of their nodes back, or restore it"
      )
    }
    guard !gone.isEmpty else {
      return PlacementMove(account: account.id, add: [], remove: account.learners.filter(out.contains), reason: reason)
    }
    let staying = account.voters.filter { !out.contains($0.node) }
    let stayingIndexes = staying.compactMap { index(of: $0.node) }
    let free = candidates(account.rules).filter { i in
      !out.contains(nodes[i].id) && region.map { nodes[i].region == $0 } ?? true
        && !account.voters.contains { $0.node == nodes[i].id }
    }
    let picked = pick(gone.count, from: free, beside: stayingIndexes, account: account.id, account.rules)
    guard picked.count == gone.count else {
      throw PlacementError(
        .tooFewNodes,
        "no other active node with free disk may hold it (\(regionsText(account.rules))): add a node there")
    }
    let before = Survival(VoterSet(goal: account.rules.goal, voters: account.voters))
    let after = Survival(VoterSet(goal: account.rules.goal, voters: staying + picked.map(voter)))
    guard before.mayBecome(after, goal: account.rules.goal) else {
      throw PlacementError(
        .tooFewRegions,
        "moving it would survive less than its goal \(account.rules.goal): add a node in \(regionsOf(gone))")
    }
    let learnersOut = account.learners.filter { learner in out.contains(learner) }
    return PlacementMove(
      account: account.id, add: picked.map { nodes[$0].id }, remove: gone.map(\.node) + learnersOut, reason: reason)
  }

  private func regionsOf(_ voters: [Voter]) -> String { Set(voters.map(\.region)).sorted().joined(separator: ", ") }
}
