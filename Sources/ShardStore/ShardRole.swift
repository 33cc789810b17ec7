// How an account takes records, and what becomes of them.

import Base

enum ShardRole: Sendable, Equatable {
  /// The node is its only voter: what its log has synced is published, and its epochs are its own.
  case alone
  /// Records come from the account's primary, and nothing is published before replication says so.
  case standby
  /// This node is the primary of the epoch; what it makes is published when replication says so.
  case leading(Epoch)
}
