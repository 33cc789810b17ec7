// What if these nodes or regions were lost right now: for every account, would its data survive, would writes go on?
//
// The data survive iff no write set lies wholly in what is lost: then each acknowledged write is on a voter that
// remains. Writes go on iff the voters that remain contain a write set, may make a primary, and the control store keeps
// its majority to record it. What is dead already counts as lost with the rest: that is what "right now" means.

package import Base
import Formats

package struct Loss: Sendable, Equatable {
  package var nodes: Set<NodeID>
  package var regions: Set<String>

  package init(nodes: Set<NodeID> = [], regions: Set<String> = []) {
    self.nodes = nodes
    self.regions = regions
  }
}

/// Where the control store's members run.
package enum ControlMembers: Sendable, Equatable {
  /// On these nodes, each with one vote.
  case nodes([NodeID])
  /// On machines that are no nodes of this cluster: their loss is not judged here.
  case elsewhere
}

package struct WhatIf: Sendable, Equatable {
  package struct Control: Sendable, Equatable {
    /// 0: the members run elsewhere.
    package var membersCount: Int
    package var remainingCount: Int
    package var keepsMajority: Bool
  }

  package struct Account: Sendable, Equatable {
    package var id: AccountID
    package var dataSurvives: Bool
    package var writesGoOn: Bool
  }

  /// All nodes that count as lost: those asked about, those that are dead or removed, and voters nobody knows.
  package private(set) var lost: Set<NodeID>
  /// Of these, the ones that are lost without the asking.
  package private(set) var lostAlready: Set<NodeID>
  package private(set) var control: Control
  /// In the order given.
  package private(set) var accounts: [Account]

  package var dataLost: [AccountID] { accounts.filter { !$0.dataSurvives }.map(\.id) }
  package var writesStopped: [AccountID] { accounts.filter { !$0.writesGoOn }.map(\.id) }
  package var dataSurvives: Bool { accounts.allSatisfy(\.dataSurvives) }
  package var writesGoOn: Bool { accounts.allSatisfy(\.writesGoOn) }

  package init(losing loss: Loss, nodes: [PlacementNode], accounts: [PlacedAccount], control members: ControlMembers) {
    var asked = loss.nodes
    var gone: Set<NodeID> = []
    var known: Set<NodeID> = []
    for node in nodes {
      known.insert(node.id)
      if loss.regions.contains(node.region) { asked.insert(node.id) }
      if node.isDead || node.state == .removed { gone.insert(node.id) }
    }
    for account in accounts {
      for set in account.voterSets { gone.formUnion(set.nodes.filter { !known.contains($0) }) }
    }
    lostAlready = gone
    lost = asked.union(gone)
    control = WhatIf.judge(members, lost: lost)
    let (lost, control) = (lost, control)
    self.accounts = accounts.map { WhatIf.judge($0, lost: lost, control: control) }
  }

  private static func judge(_ members: ControlMembers, lost: Set<NodeID>) -> Control {
    guard case .nodes(let nodes) = members else {
      return Control(membersCount: 0, remainingCount: 0, keepsMajority: true)
    }
    let all = Set(nodes)
    let remaining = all.subtracting(lost).count
    return Control(membersCount: all.count, remainingCount: remaining, keepsMajority: remaining * 2 > all.count)
  }

  private static func judge(_ account: PlacedAccount, lost: Set<NodeID>, control: Control) -> Account {
    let sets = account.voterSets
    let survives = sets.allSatisfy { !$0.voters.isEmpty && !$0.isWriteSet(lost) }
    let goesOn = sets.allSatisfy { set in
      let remaining = Set(set.nodes).subtracting(lost)
      return set.isWriteSet(remaining) && set.mayPromote(remaining)
    }
    return Account(id: account.id, dataSurvives: survives, writesGoOn: goesOn && control.keepsMajority)
  }
}
