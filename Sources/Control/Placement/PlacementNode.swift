// A node as placement sees it: where it stands, whether it is wanted, whether it answers, and how full it is.
//
// A picture of one moment, made by whoever keeps the directory of nodes; nothing here is measured or asked.

package import Base

package struct PlacementNode: Sendable, Equatable {
  package enum State: Sendable, Equatable {
    case active
    /// Being emptied: keeps what it has until that is elsewhere, takes nothing new.
    case draining
    /// No longer of the cluster.
    case removed
  }

  package enum Health: Sendable, Equatable {
    case alive
    case suspect
    case dead(since: Instant)
  }

  package var id: NodeID
  package var name: String
  package var region: String
  /// Inside the region: what fails together (a rack, a hall). Empty: not known, so every node counts as its own.
  package var zone: String
  package var state: State
  package var health: Health
  /// Share of the node's capacity in use, 0 to 1000.
  package var loadPermille: Int
  package var diskFillPermille: Int
  /// Replicas that it holds.
  package var accountsCount: Int

  package init(
    id: NodeID, name: String, region: String, zone: String = "", state: State = .active, health: Health = .alive,
    loadPermille: Int = 0, diskFillPermille: Int = 0, accountsCount: Int = 0
  ) {
    self.id = id
    self.name = name
    self.region = region
    self.zone = zone
    self.state = state
    self.health = health
    self.loadPermille = loadPermille
    self.diskFillPermille = diskFillPermille
    self.accountsCount = accountsCount
  }

  package var isDead: Bool {
    if case .dead = health { true } else { false }
  }

  /// Gone for good as far as planning goes: removed, or dead for longer than `patience`.
  package func isLost(at now: Instant, patience: Interval) -> Bool {
    if state == .removed { return true }
    guard case .dead(let since) = health else { return false }
    return now - since > patience
  }
}
