// No replica says that it has a record before its disk has it, with everything that it names (I3).

import Base
import Formats

enum AcknowledgementChecker {
  static func check(
    _ number: Int, _ shard: Int, _ ack: ReplicationMessage.Ack, _ replica: SimulatedReplica
  ) throws(Violation) {
    guard ack.synced.index > replica.log.start.index else { return }
    guard let record = replica.log.durable(at: ack.synced.index), record.position == ack.synced else {
      throw Violation(
        checker: "acknowledgements",
        message: "\(number) acknowledges \(ack.synced) of shard \(shard), its disk has \(replica.log.durableEnd)")
    }
    try RecordingChecker.check(number, shard, record, replica.recordings)
  }
}
