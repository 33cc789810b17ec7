// What an acknowledged write is meant to survive, and the rule that follows from it: which voters make a write set.
//
// A majority of the voters, so that any two write sets meet; for the goal `region` it also spans two regions. No write
// set is ever made smaller to go on: writes wait (DESIGN.md 3.5).

package import Base

package enum SurvivalGoal: UInt8, Sendable, Equatable, CaseIterable, CustomStringConvertible {
  /// One voter, whose loss loses what the archive does not have.
  case none = 0
  /// Any one node.
  case node = 1
  /// Any one region.
  case region = 2

  package var description: String {
    switch self {
    case .none: "none"
    case .node: "node"
    case .region: "region"
    }
  }
}

/// A replica that is asked when a write is acknowledged and when a primary is made.
package struct Voter: Sendable, Hashable {
  package var node: NodeID
  /// Of the node, kept with the voter so that a write set can be judged without looking anything up.
  package var region: String

  package init(node: NodeID, region: String) {
    self.node = node
    self.region = region
  }
}

/// Those of some voters that are there, each counted once: the rule of write sets, for whoever holds the voters.
struct PresentVoters {
  private var count = 0
  private var region: String?
  private var spansRegions = false

  mutating func add(_ region: String) {
    count += 1
    if let first = self.region { spansRegions = spansRegions || first != region } else { self.region = region }
  }

  /// `all`: voters, present or not.
  func areWriteSet(of all: Int, _ goal: SurvivalGoal) -> Bool {
    count * 2 > all && (goal != .region || spansRegions)
  }
}

/// The voters of one shard under one goal. Small: 1 to 7.
package struct VoterSet: Sendable, Equatable {
  package static let countMax = 7
  package private(set) var goal: SurvivalGoal
  /// By node.
  package private(set) var voters: [Voter]

  /// Sorts; the last of two voters with one node is dropped.
  package init(goal: SurvivalGoal, voters: [Voter]) {
    self.goal = goal
    var seen: Set<NodeID> = []
    self.voters = voters.filter { seen.insert($0.node).inserted }.sorted { $0.node < $1.node }
  }

  package var nodes: [NodeID] { voters.map(\.node) }

  package func contains(_ node: NodeID) -> Bool { voters.contains { $0.node == node } }

  /// Do those of `nodes` that are voters make a write set? Nodes that are no voters count for nothing.
  package func isWriteSet(_ nodes: Set<NodeID>) -> Bool {
    var present = PresentVoters()
    for voter in voters where nodes.contains(voter.node) { present.add(voter.region) }
    return present.areWriteSet(of: voters.count, goal)
  }

  /// May `reporters` make a primary? Only when the voters outside contain no write set: then every acknowledged write
  /// has reached one of them.
  package func mayPromote(_ reporters: Set<NodeID>) -> Bool {
    !isWriteSet(Set(nodes).subtracting(reporters))
  }
}
