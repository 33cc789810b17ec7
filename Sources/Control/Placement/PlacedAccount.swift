// An account as placement sees it: the rules its owner set, and where its replicas are.
//
// While a change of voters is not known to be committed, the control store holds both sets and so does this value:
// whatever is judged then is judged under both (DESIGN.md 4).

package import Base
package import Formats

/// What was asked for when the account was made, or changed since.
package struct PlacementRules: Sendable, Equatable {
  package var goal: SurvivalGoal
  /// Where the account is mostly used: its primary and, for the goal `node`, its voters stand there when they can.
  package var homeRegion: String?
  /// The only regions that may hold a replica. Empty: any.
  package var residency: [String]
  /// 1, 3, 5 or 7; nil for what the goal needs: 1 for `none`, else 3.
  package var votersCount: Int?
  /// The operator knows that writes will stop when one node or region is lost, and wants the account all the same.
  package var acceptsWritesStop: Bool

  package init(
    goal: SurvivalGoal = .node, homeRegion: String? = nil, residency: [String] = [], votersCount: Int? = nil,
    acceptsWritesStop: Bool = false
  ) {
    self.goal = goal
    self.homeRegion = homeRegion
    self.residency = residency
    self.votersCount = votersCount
    self.acceptsWritesStop = acceptsWritesStop
  }

  package var votersWanted: Int { votersCount ?? (goal == .none ? 1 : 3) }

  package func allows(region: String) -> Bool { residency.isEmpty || residency.contains(region) }
}

package struct PlacedAccount: Sendable, Equatable {
  package var id: AccountID
  package var rules: PlacementRules
  package var voters: [Voter]
  /// By which its write sets are judged now; the goal of the rules may be a wish that these voters cannot hold yet.
  package var goalHeld: SurvivalGoal
  /// The new voters, while the change to them is not known to be committed.
  package var nextVoters: [Voter]?
  /// Replicas that catch up, or that were voters and are not yet removed.
  package var learners: [NodeID]
  package var primary: NodeID?
  package var bytes: Int64
  /// What is under way; no second move begins before it is nil again.
  package var pending: PlacementMove?

  package init(
    id: AccountID, rules: PlacementRules = PlacementRules(), voters: [Voter], nextVoters: [Voter]? = nil,
    learners: [NodeID] = [], primary: NodeID? = nil, bytes: Int64 = 0, pending: PlacementMove? = nil,
    goalHeld: SurvivalGoal? = nil
  ) {
    self.id = id
    self.rules = rules
    self.voters = voters
    self.goalHeld = goalHeld ?? rules.goal
    self.nextVoters = nextVoters
    self.learners = learners
    self.primary = primary
    self.bytes = bytes
    self.pending = pending
  }

  /// The sets that a write or a promotion has to satisfy, all of them.
  package var voterSets: [VoterSet] {
    ([voters] + (nextVoters.map { [$0] } ?? [])).map { VoterSet(goal: rules.goal, voters: $0) }
  }

  package func hasReplica(on node: NodeID) -> Bool {
    voters.contains { $0.node == node } || learners.contains(node) || nextVoters?.contains { $0.node == node } == true
  }
}
