// The rules of write sets, asked of a record: during a change of voters both sets count.

package import Base

extension OwnershipRecord {
  package init(account: AccountID, epoch: Epoch = 1, voters: VoterSet, learners: [Voter] = []) {
    self.init(
      account: account, goal: voters.goal.rawValue, epoch: epoch, voters: voters.voters.map(Replica.init),
      learners: learners.map(Replica.init))
  }

  package var voterSet: VoterSet { VoterSet(goal: goal, voters) }
  /// Nil unless a change is under way.
  package var previousSet: VoterSet? { previous.isEmpty ? nil : VoterSet(goal: previousGoal, previous) }

  /// Does it vote in this epoch, in the new set or in the one before?
  package func counts(_ node: NodeID) -> Bool {
    voters.contains { $0.node == node } || previous.contains { $0.node == node }
  }

  /// All who vote, each once, by id.
  package var electors: [NodeID] { Set((voters + previous).map(\.node)).sorted() }

  package func isWriteSet(_ nodes: Set<NodeID>) -> Bool { isWriteSet { nodes.contains($0) } }

  /// The same, asked of each voter: for those who ask with every record.
  package func isWriteSet(having isPresent: (NodeID) -> Bool) -> Bool {
    Self.isWriteSet(goal, voters, isPresent) && (previous.isEmpty || Self.isWriteSet(previousGoal, previous, isPresent))
  }

  private static func isWriteSet(_ goal: UInt8, _ voters: [Replica], _ isPresent: (NodeID) -> Bool) -> Bool {
    var present = PresentVoters()
    for voter in voters where isPresent(voter.node) { present.add(voter.region) }
    return present.areWriteSet(of: voters.count, SurvivalGoal(rawValue: goal) ?? .region)
  }

  package func mayPromote(_ reporters: Set<NodeID>) -> Bool {
    voterSet.mayPromote(reporters) && previousSet?.mayPromote(reporters) != false
  }
}

extension OwnershipRecord.Replica {
  package init(_ voter: Voter) { self.init(node: voter.node, region: voter.region) }
}

extension VoterSet {
  fileprivate init(goal: UInt8, _ replicas: [OwnershipRecord.Replica]) {
    self.init(
      goal: SurvivalGoal(rawValue: goal) ?? .region, voters: replicas.map { Voter(node: $0.node, region: $0.region) })
  }
}
