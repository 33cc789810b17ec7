// Routes by the account's record alone: for a node that stands alone, whose accounts have one replica, and for the
// archives of accounts that are deleted, which nobody leads any more.

import Base
import Threads

struct RecordRouting: ShardRouting {
  let control: ControlDirectory
  let node: NodeID

  func route(_ id: AccountID) -> ShardRoute {
    guard let record = control.view.with({ $0[id]?.record }) else { return .nobody }
    guard let primary = record.primary, primary != node else { return .here(0) }
    return .node(primary)
  }

  /// A record names its node from the first moment on: there is nothing to wait for.
  func waitForRoute(_ id: AccountID, until deadline: ContinuousClock.Instant) async -> ShardRoute { route(id) }

  func mayServe(_ id: AccountID, _ epoch: Epoch) -> Bool { route(id) == .here(epoch) }
}
