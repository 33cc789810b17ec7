// What requests, status pages and the caretaker ask. What is `nonisolated` asks the table and waits for nobody.

package import Base
import Control
package import Formats
import Replication

/// Where an account's replicas are and how far each has come, as its primary sees it; elsewhere as the control store does.
package struct ShardPlacement: Sendable, Equatable {
  package struct Replica: Sendable, Equatable {
    package enum Role: Sendable, Equatable {
      case primary, standby, learner
    }
    package var node: NodeID
    package var region: String
    package var role: Role
    /// Records that its disk lacks; nil where this node does not know.
    package var lag: LogIndex?
  }

  package var epoch: Epoch
  package var primary: NodeID?
  package var goal: SurvivalGoal
  /// Of this node's replica; nil where it has none.
  package var committed: Position?
  package var replicas: [Replica]
  /// The replacing of voters is not over yet.
  package var isChanging: Bool
  package var isDamagedHere: Bool
}

struct ShardFigures: Sendable {
  var ownership: OwnershipCounters
  var led = 0
  var replicas = 0
  var damaged = 0
  var lettersDropped = 0
}

extension ShardService {
  /// Waits while nobody serves the account, or only `known` is known to: for a node that says that it does not.
  package nonisolated func waitForRoute(
    _ account: AccountID, after known: ShardRoute, until deadline: ContinuousClock.Instant
  ) async -> ShardRoute {
    await table.wait(account, until: deadline) { $0 != .nobody && $0 != known }
  }

  package nonisolated func record(_ account: AccountID) -> OwnershipRecord? { table.record(account) }
  package nonisolated func records() -> [OwnershipRecord] { table.records() }

  package func placement(_ account: AccountID) -> ShardPlacement? {
    guard let record = table.record(account) else { return nil }
    let machine = replicas[account]?.driver?.machine
    let lags = machine?.lags ?? [:]
    let isLed = ownership.machine.leadingEpoch(account) != nil
    func replica(_ replica: OwnershipRecord.Replica, _ role: ShardPlacement.Replica.Role) -> ShardPlacement.Replica {
      let isPrimary = replica.node == record.primary
      return ShardPlacement.Replica(
        node: replica.node, region: replica.region, role: isPrimary ? .primary : role,
        lag: isPrimary && isLed && replica.node == setup.node ? 0 : lags[replica.node])
    }
    return ShardPlacement(
      epoch: record.epoch, primary: record.primary, goal: record.voterSet.goal,
      committed: machine?.committed,
      replicas: record.voters.map { replica($0, .standby) } + record.learners.map { replica($0, .learner) },
      isChanging: !record.previous.isEmpty,
      isDamagedHere: isDamaged(account))
  }

  /// One line about a shard, for tests and for whoever asks why nothing moves.
  package func summary(_ account: AccountID) -> String {
    let replica = replicas[account]
    return ownership.machine.summary(account) + "; replica "
      + (replica?.driver?.machine.summary ?? (replica == nil ? "none" : "not loaded"))
      + (replica.map { ", \($0.steps.count) steps\($0.isWaiting ? " waiting" : "")" } ?? "")
  }

  /// For metrics.
  var figures: ShardFigures {
    var figures = ShardFigures(ownership: ownership.machine.counters)
    for (account, replica) in replicas where replica.driver != nil {
      figures.replicas += 1
      if ownership.machine.leadingEpoch(account) != nil { figures.led += 1 }
      if isDamaged(account) { figures.damaged += 1 }
    }
    figures.lettersDropped = links.assumeIsolated { $0.dropped }
    return figures
  }
}
