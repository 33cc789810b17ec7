// Which change the members of the managed etcd need next: 1 member for fewer than 3 nodes, 3 for fewer than 5, else 5,
// spread over regions and then over zones.
//
// One step at a time, each planned on what is there now, so that any node may go on where another stopped. A new member
// comes as a learner and votes when it has caught up. A dead member of a removed node goes before its successor comes
// (it only costs quorum), a living one goes after. No step is taken without a quorum, and none that would leave none. A
// member that is down but whose node was not removed keeps its place: restarts are not failures.

package enum EtcdMemberPlan {
  /// How many members so many nodes are to have.
  package static func target(nodes: Int) -> Int {
    switch nodes {
    case ..<1: 0
    case 1...2: 1
    case 3...4: 3
    default: 5
    }
  }

  /// Nil when nothing is to be done, or nothing can be done before a member is healthy again.
  package static func next(_ nodes: [EtcdMemberNode], _ members: [EtcdMemberView]) -> EtcdMemberStep? {
    let voters = members.filter { !$0.member.isLearner }
    let healthy = voters.count { $0.isHealthy }
    guard !voters.isEmpty, !nodes.isEmpty, healthy >= quorum(voters.count) else { return nil }
    let wanted = choose(nodes, members)
    func isWanted(_ view: EtcdMemberView) -> Bool { wanted.contains { $0.carries(view.member) } }

    if let learner = members.filter(\.member.isLearner).min(by: { $0.member.id < $1.member.id }) {
      return next(learner, of: nodes, isWanted: isWanted(learner))
    }
    let surplus = voters.filter { !isWanted($0) }.sorted { goes($0, before: $1, voters, nodes) }
    if let dead = surplus.first, !dead.isHealthy, keepsQuorum(without: dead, voters) { return .remove(dead.member.id) }
    if let missing = wanted.first(where: { node in !voters.contains { node.carries($0.member) } }) {
      return .add(missing)
    }
    return surplus.first { keepsQuorum(without: $0, voters) }.map { .remove($0.member.id) }
  }

  private static func next(
    _ learner: EtcdMemberView, of nodes: [EtcdMemberNode], isWanted: Bool
  ) -> EtcdMemberStep? {
    guard isWanted, let node = nodes.first(where: { $0.carries(learner.member) }) else {
      return .remove(learner.member.id)
    }
    // The new voter is healthy, so the quorum that there is stays one.
    if learner.isHealthy { return .promote(learner.member.id) }
    return node.isAlive ? nil : .remove(learner.member.id)
  }

  static func quorum(_ voters: Int) -> Int { voters / 2 + 1 }

  private static func keepsQuorum(without view: EtcdMemberView, _ voters: [EtcdMemberView]) -> Bool {
    let rest = voters.filter { $0.member.id != view.member.id }
    return rest.count { $0.isHealthy } >= quorum(rest.count)
  }

  /// The nodes that are to carry a member, best first. Where the spread does not care, who has one keeps it.
  private static func choose(_ nodes: [EtcdMemberNode], _ members: [EtcdMemberView]) -> [EtcdMemberNode] {
    var open = nodes.compactMap { node -> Candidate? in
      let own = members.first { node.carries($0.member) }
      guard node.isAlive || own != nil else { return nil }
      return Candidate(node: node, rank: own == nil ? 2 : own?.isHealthy == true ? 0 : 1)
    }
    var (regions, zones): ([String: Int], [[String]: Int]) = ([:], [:])
    var chosen: [EtcdMemberNode] = []
    func order(_ a: Candidate) -> (Int, Int, Int, String) {
      (regions[a.node.region] ?? 0, zones[[a.node.region, a.node.zone]] ?? 0, a.rank, a.node.id)
    }
    while chosen.count < target(nodes: nodes.count), let best = open.min(by: { order($0) < order($1) }) {
      chosen.append(best.node)
      regions[best.node.region, default: 0] += 1
      zones[[best.node.region, best.node.zone], default: 0] += 1
      open.removeAll { $0.node.id == best.node.id }
    }
    return chosen
  }

  private struct Candidate {
    var node: EtcdMemberNode
    /// 0 has a healthy member, 1 one that is down, 2 none.
    var rank: Int
  }

  /// Who is removed first: the dead, those of removed nodes, those in a full region, the leader last.
  private static func goes(
    _ a: EtcdMemberView, before b: EtcdMemberView, _ voters: [EtcdMemberView], _ nodes: [EtcdMemberNode]
  ) -> Bool {
    func order(_ view: EtcdMemberView) -> (Int, Int, Int, Int, UInt64) {
      let node = nodes.first { $0.carries(view.member) }
      let crowd = voters.count { other in
        node != nil && nodes.first { $0.carries(other.member) }?.region == node?.region
      }
      return (view.isHealthy ? 1 : 0, node == nil ? 0 : 1, view.isLeader ? 1 : 0, -crowd, view.member.id)
    }
    return order(a) < order(b)
  }
}
