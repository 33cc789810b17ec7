// A primary's term, as its log sees it.

import Base
import Formats

struct ReplicaLead: Sendable {
  let epoch: Epoch
  /// Index of the epoch's first record: only from there on do copies count (Raft 5.4.2).
  var first: LogIndex?
  var hasCommitted = false
  /// Everything must reach it; then the epoch is over.
  var successor: NodeID?

  init(epoch: Epoch) { self.epoch = epoch }
}

/// A standby's view of the primary that it follows.
struct ReplicaFollow: Sendable {
  let epoch: Epoch
  /// May what is synced be acknowledged?
  var mayAcknowledge: Bool
  /// So far the log agrees with the primary's; nil before its first record fitted.
  var matched: LogIndex?
  /// As the primary says.
  var told: LogIndex = 0
  /// Who sends.
  var source: NodeID?
  /// Asked for a base already.
  var wantsBase = false
  /// Echoes that wait until their commit index is applied.
  var echoes: [(commit: LogIndex, time: UInt64)] = []

  init(epoch: Epoch, mayAcknowledge: Bool = false) {
    self.epoch = epoch
    self.mayAcknowledge = mayAcknowledge
  }
}
