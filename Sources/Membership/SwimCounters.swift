// What a member counts about itself: for metrics, and for whoever asks why nothing happens.

package struct SwimCounters: Sendable, Equatable {
  package internal(set) var datagramsSent = 0
  package internal(set) var datagramsReceived = 0
  package internal(set) var probes = 0
  package internal(set) var probesFailed = 0
  package internal(set) var indirectProbes = 0
  package internal(set) var suspicionsRaised = 0
  package internal(set) var refutations = 0
  package internal(set) var stalls = 0
  package internal(set) var pushPulls = 0
  /// Dropped, by reason.
  package internal(set) var inactiveDrops = 0
  package internal(set) var foreignTargetDrops = 0
  package internal(set) var lateAnswerDrops = 0
  package internal(set) var unknownMemberDrops = 0
  package internal(set) var fullTableDrops = 0

  package init() {}
}
