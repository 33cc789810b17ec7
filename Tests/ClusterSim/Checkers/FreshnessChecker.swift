// A read that may be so old sees, at a standby, every write that was acknowledged so long before, in true time.

import Base

enum FreshnessChecker {
  static func check(
    _ shard: Int, _ number: Int, pin: LogIndex, bound: Int64, at now: Int64, _ writes: AcknowledgedChecker
  ) throws(Violation) {
    // The standby measures by its own clock.
    let seen = writes.last(shard, before: now - bound - bound / 1000 - 1000)
    guard pin >= seen else {
      throw Violation(
        checker: "staleness",
        message: "\(number) answers from index \(pin) of shard \(shard) within \(bound / 1_000_000) ms, \(seen) was "
          + "acknowledged before")
    }
  }
}
