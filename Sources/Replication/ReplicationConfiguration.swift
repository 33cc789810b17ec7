// Every timer and bound of replication.

package import Base
import Formats

package struct ReplicationConfiguration: Sendable, Equatable {
  /// Records of one message, unless a single one is larger.
  package var messageBytesMax = 1 << 20
  /// Sent to one peer and not acknowledged: enough for a fast disk 40 ms away.
  package var inFlightBytesMax = 4 << 20
  /// Records kept in memory while peers still need them; older ones are read from the log.
  package var memoryBytesMax = 8 << 20
  package var readBytesMax = 1 << 20
  /// A commit point waits so long for a record to ride on: an account that is written to needs no messages for it alone;
  /// readers of a standby who ask for a position wait for it, and a hand-over does.
  package var commitDelay = Interval.milliseconds(2)
  /// A peer that does not follow the epoch yet is asked again after so long.
  package var retryAfter = Interval.milliseconds(40)
  /// A peer that owes an answer is asked for it after so long: streams lose nothing, so this is for what it dropped.
  /// Longer than a round trip and a sync anywhere. Both are twice as long after each vain question, up to the most.
  package var silenceAfter = Interval.milliseconds(500)
  package var silenceMax = Interval.seconds(4)
  /// Between two words to ownership about who has what.
  package var placesPeriod = Interval.milliseconds(100)
  package var plantedBugs: ReplicationBugs = []

  package init() {}

  /// What is wrong with it, in one sentence; nil when it can work.
  package var problem: String? {
    if !(1...ReplicationLimits.recordsBytesMax).contains(messageBytesMax) {
      return "a message carries 1 to \(ReplicationLimits.recordsBytesMax) bytes of records"
    }
    if inFlightBytesMax < 1 || memoryBytesMax < 1 || readBytesMax < 1 { return "every window must be positive" }
    if [retryAfter, silenceAfter, placesPeriod].contains(where: { $0 <= .zero }) || commitDelay < .zero
      || silenceMax < silenceAfter
    {
      return "every period of replication must be positive"
    }
    return nil
  }
}
