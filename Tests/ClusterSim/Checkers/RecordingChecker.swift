// A record is on a disk only where the recordings that it names are.

import Base
import Formats

enum RecordingChecker {
  static func check(
    _ number: Int, _ shard: Int, _ record: SealedRecord, _ recordings: Set<RecordingID>
  ) throws(Violation) {
    guard recordings.isSuperset(of: SimulatedRecord.recordings(record)) else {
      throw Violation(
        checker: "recordings", message: "\(number) has \(record.position) of shard \(shard) without its recordings")
    }
  }
}
