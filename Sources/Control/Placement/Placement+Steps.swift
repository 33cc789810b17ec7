// From a move to single steps, each of which keeps the goal: learners first, then one change of voters when they have
// caught up, then the leftovers.
//
// Old and new voters are exchanged in one change (one epoch, whose first record needs write sets of both), not by
// adding first and removing later: with voters in three regions as 1+1+1 a fourth would make a set whose writes stop
// when the region of two is lost. Who leaves the voters stays a learner until it is removed, so nothing is destroyed
// before the new set counts.

package import Base
package import Formats

package enum PlacementStep: Sendable, Equatable {
  /// Begin to copy to this node.
  case addLearner(NodeID)
  /// Wait: the learner has not caught up.
  case waitForLearner(NodeID)
  /// A primary that is dead or missing: failover comes first.
  case waitForPrimary
  /// Wait until the change that the control store holds is known to be committed.
  case waitForCommit
  /// Give the lead to a voter that stays.
  case handOver(to: NodeID)
  /// One compare-and-set to these voters; whoever leaves becomes a learner.
  case changeVoters([Voter])
  /// Destroy the replica there.
  case removeLearner(NodeID)
}

extension Placement {
  /// The next step of the account's pending move; nil when the move is done.
  package func nextStep(of account: PlacedAccount, caughtUp: Set<NodeID>) -> PlacementStep? {
    guard let move = account.pending else { return nil }
    if account.nextVoters != nil { return .waitForCommit }
    let current = Set(account.voters.map(\.node))
    let newcomers = move.add.filter { !current.contains($0) }
    var added: [Voter] = []
    for node in newcomers {
      if !account.learners.contains(node) { return .addLearner(node) }
      guard caughtUp.contains(node), let i = index(of: node) else { return .waitForLearner(node) }
      added.append(voter(i))
    }
    let target = account.voters.filter { !move.remove.contains($0.node) } + added
    if Set(target.map(\.node)) == current {
      return account.learners.first(where: move.remove.contains).map { .removeLearner($0) }
    }
    return handOverOrChange(account, to: target, added: added, leaving: Set(move.remove))
  }

  /// Who is to lead an account from now on, when its primary should not: one on a draining node leaves it at least as
  /// primary, because no other node may hold the replica; and one that was elected among the voters before a change may be
  /// no voter when that is over. Nil when the primary may stay, nobody can take over, or voters are changing.
  package func retreat(of account: PlacedAccount) -> NodeID? {
    guard account.pending == nil, account.nextVoters == nil, let primary = account.primary,
      isDraining(primary) || !account.voters.contains(where: { $0.node == primary }),
      let best = self.primary(of: account.id, account.rules, among: account.voters), !isDraining(best)
    else { return nil }
    return best
  }

  private func isDraining(_ node: NodeID) -> Bool { index(of: node).map { nodes[$0].state == .draining } == true }

  private func handOverOrChange(
    _ account: PlacedAccount, to target: [Voter], added: [Voter], leaving: Set<NodeID>
  ) -> PlacementStep {
    guard let primary = account.primary, index(of: primary).map(isLiving) == true else {
      return .waitForPrimary
    }
    guard leaving.contains(primary) else { return .changeVoters(target) }
    let staying = account.voters.filter { !leaving.contains($0.node) }
    if let successor = self.primary(of: account.id, account.rules, among: staying) { return .handOver(to: successor) }
    // Nobody who stays can lead, as with a single voter: the new ones join first and one of them takes over.
    return added.isEmpty ? .waitForPrimary : .changeVoters(account.voters + added)
  }
}
