// One change of one account's replicas, and a plan: the changes to begin now, and what cannot be done and why.
//
// A move is a wish about the end state. `Placement.nextStep` says how to get there without ever falling below the goal.

package import Base

package struct PlacementMove: Sendable, Equatable {
  package enum Reason: Sendable, Equatable {
    /// A node is to be emptied.
    case drain
    /// A replica is on a node that is gone for good.
    case lost
    /// A replica lies where the account's residency does not allow it.
    case residency
    /// There are fewer voters than asked for, or they survive less, and now it can be better.
    case growth
    /// No voter lies in the home region.
    case home
    /// One node holds much more than another.
    case balance
  }

  package var account: AccountID
  /// Become voters.
  package var add: [NodeID]
  /// Hold nothing of the account afterwards.
  package var remove: [NodeID]
  package var reason: Reason

  package init(account: AccountID, add: [NodeID], remove: [NodeID], reason: Reason) {
    self.account = account
    self.add = add
    self.remove = remove
    self.reason = reason
  }
}

/// An account that should move and cannot.
package struct StuckAccount: Sendable, Equatable {
  package var account: AccountID
  package var reason: PlacementError

  package init(account: AccountID, reason: PlacementError) {
    self.account = account
    self.reason = reason
  }
}

package struct PlacementPlan: Sendable, Equatable {
  /// To begin now.
  package var moves: [PlacementMove] = []
  /// Could move, but enough is under way.
  package var waitingCount = 0
  /// Under way already.
  package var underWayCount = 0
  package var stuck: [StuckAccount] = []
  /// Their pending move waits for a node that is gone for good: forget it, the next plan finds another.
  package var hopeless: [AccountID] = []

  package init() {}

  /// Nothing to do, nothing under way, nothing stuck.
  package var isDone: Bool {
    moves.isEmpty && waitingCount == 0 && underWayCount == 0 && stuck.isEmpty && hopeless.isEmpty
  }

  /// Replicas that change their place.
  package var movedReplicasCount: Int { moves.reduce(0) { $0 + max($1.add.count, $1.remove.count) } }

  mutating func append(_ move: PlacementMove, limit: Int) {
    if moves.count < limit { moves.append(move) } else { waitingCount += 1 }
  }
}
