// What a node's ownership counts about itself: for metrics, and for whoever asks why nothing moves.

package struct OwnershipCounters: Sendable, Equatable {
  package internal(set) var beats = 0
  package internal(set) var epochsAsked = 0
  package internal(set) var epochsAdopted = 0
  package internal(set) var primariesNamed = 0
  package internal(set) var leadsBegun = 0
  package internal(set) var leadsGivenUp = 0
  package internal(set) var handOvers = 0
  package internal(set) var voterChanges = 0
  package internal(set) var refusedCompares = 0
  package internal(set) var unknownOutcomes = 0
  package internal(set) var lostWatches = 0
  /// Dropped, by reason.
  package internal(set) var lateAnswerDrops = 0
  package internal(set) var oldLifeDrops = 0
  package internal(set) var damagedReports = 0

  package init() {}
}
