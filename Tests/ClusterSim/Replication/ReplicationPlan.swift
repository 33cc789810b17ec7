// What a seed decides about replication before the run: windows that are small enough to matter, and how records are made.

import Base
package import Replication

package struct ReplicationPlan: Sendable {
  package var configuration = ReplicationConfiguration()
  var bugs: SimulatedStoreBugs = []
  /// Of a thousand transactions, so many have several records, and so many name a recording.
  var groupsPermille = 300
  var recordingsPermille = 150
  /// Of a thousand checkpoints, so many drop what they cover from the log.
  var dropsPermille = 200
  var checkpointPeriod: Int64 = 150_000_000

  init() {}

  init(_ bugs: JointBugs, _ random: inout SeededGenerator) {
    configuration.plantedBugs = bugs.replication
    self.bugs = bugs.store
    configuration.messageBytesMax = random.oneIn(2) ? 100 + random.below(2000) : 1 << 20
    configuration.inFlightBytesMax = random.oneIn(2) ? 100 + random.below(4000) : 1 << 20
    configuration.memoryBytesMax = random.oneIn(2) ? 100 + random.below(4000) : 1 << 20
    configuration.readBytesMax = 100 + random.below(4000)
    configuration.commitDelay = .microseconds(random.below(20_000))
    configuration.retryAfter = .milliseconds(10 + random.below(100))
    configuration.silenceAfter = .milliseconds(random.oneIn(2) ? 10 + random.below(150) : 500)
    groupsPermille = random.below(600)
    recordingsPermille = random.below(300)
    dropsPermille = random.below(600)
    checkpointPeriod = Int64(50 + random.below(400)) * 1_000_000
  }
}

/// Errors of a store that the simulation plays: it is a model here, so the errors are too.
package struct SimulatedStoreBugs: OptionSet, Sendable {
  package let rawValue: Int
  package init(rawValue: Int) { self.rawValue = rawValue }
  /// A checkpoint takes what is not committed.
  package static let checkpointPastCommit = SimulatedStoreBugs(rawValue: 1)
  /// A record's difference is applied to whatever stands there.
  package static let ignoreBase = SimulatedStoreBugs(rawValue: 2)
}
