// What one replica counts about itself: for metrics, and for whoever asks why nothing moves.

package struct ReplicationCounters: Sendable, Equatable {
  package internal(set) var leadsBegun = 0
  package internal(set) var recordsSent = 0
  package internal(set) var recordsStored = 0
  package internal(set) var duplicates = 0
  package internal(set) var probes = 0
  package internal(set) var reads = 0
  package internal(set) var rebases = 0
  package internal(set) var cuts = 0
  package internal(set) var recordsCut = 0
  package internal(set) var refusals = 0
  /// Dropped, by reason.
  package internal(set) var staleEpochDrops = 0
  package internal(set) var unknownEpochDrops = 0
  package internal(set) var strangerDrops = 0
  package internal(set) var unfitAckDrops = 0
  package internal(set) var lateDrops = 0

  package init() {}
}
