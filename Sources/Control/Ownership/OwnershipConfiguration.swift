// Every timer and bound of ownership. All nodes of a cluster use the same lease and drift bound.

package import Base
import Formats

package struct OwnershipConfiguration: Sendable, Equatable {
  /// How often a node asks each voter of what it leads for a lease.
  package var beatPeriod = Interval.milliseconds(100)
  /// How long one answer lasts: for the holder from the sending of its beat, for the granter from its receipt, stretched
  /// by the drift bound.
  package var lease = Interval.milliseconds(450)
  /// How much faster one clock of the cluster may run than another.
  package var driftPartsPerMillion = 2000

  /// A primary is given up after so long without a beat; after each vain attempt twice as long, up to the most.
  package var lapse = Interval.milliseconds(500)
  package var lapseMax = Interval.seconds(16)
  /// After a hint: so long may the next beat take.
  package var refusedPatience = Interval.milliseconds(20)
  package var closedPatience = Interval.milliseconds(150)
  package var suspectPatience = Interval.milliseconds(250)
  package var deadPatience = Interval.milliseconds(50)
  /// A named primary that beats, but does not claim the shard.
  package var claimPatience = Interval.milliseconds(1500)
  /// A primary that gets no write set of leases, or cannot commit its first record, gives its epoch up.
  package var helplessPatience = Interval.seconds(3)

  /// So that voters do not all try at once: between one and the next, by rank.
  package var electionStagger = Interval.milliseconds(40)
  package var promotionStagger = Interval.milliseconds(150)
  /// A report counts for so long; reporters repeat it with every beat.
  package var reportLifetime = Interval.seconds(1)
  /// Reporters that hear nobody are passed over after this.
  package var deafPatience = Interval.milliseconds(500)

  /// A hand-over that has not come to its end by then is called off.
  package var handOverTimeout = Interval.seconds(2)
  /// Records by which a learner may lie behind when it becomes a voter.
  package var learnerLagMax: UInt64 = 1000

  /// An answer of the control store that takes longer counts as lost.
  package var requestTimeout = Interval.seconds(2)
  package var storeRetry = Interval.milliseconds(200)
  /// etcd takes 128 operations in one transaction.
  package var proposalsPerTransaction = 100
  /// Entries of one kind in one message: 40 keep a beat without places below 3 KiB.
  package var entriesPerMessage = 40
  package var placesPerMessage = 16
  package var plantedBugs: OwnershipBugs = []

  package init() {}

  /// How long a granter is bound by one answer.
  package var grantLength: Interval {
    lease + Interval(nanoseconds: lease.nanoseconds / 1_000_000 * Int64(driftPartsPerMillion) + 1)
  }

  /// What is wrong with it, in one sentence; nil when it can work.
  package var problem: String? {
    let positive = [beatPeriod, lapse, reportLifetime, requestTimeout, storeRetry, handOverTimeout, helplessPatience]
    if positive.contains(where: { $0 <= .zero }) { return "every period of ownership must be positive" }
    if lease < beatPeriod * 2 { return "the lease must last at least two beats" }
    if lapse < lease { return "a primary must not be given up before its lease is over" }
    if driftPartsPerMillion < 0 || driftPartsPerMillion > 100_000 { return "the drift bound must be 0 to 100000 ppm" }
    if !(1...OwnershipLimits.entriesMax).contains(entriesPerMessage)
      || !(0...OwnershipLimits.entriesMax).contains(placesPerMessage)
    {
      return "a message carries 1 to \(OwnershipLimits.entriesMax) entries"
    }
    if !(1...128).contains(proposalsPerTransaction) { return "a transaction makes 1 to 128 changes" }
    return nil
  }
}
