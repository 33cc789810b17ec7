// Where an account's requests go at this moment.

package import Base

package enum ShardRoute: Sendable, Equatable {
  /// This node leads the account in this epoch.
  case here(Epoch)
  /// That node is believed to lead it.
  case node(NodeID)
  /// Nobody leads it: its primary is gone and the next one is being chosen, or this node does not know yet.
  case nobody
}
