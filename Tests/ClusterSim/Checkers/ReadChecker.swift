// A default read sees every write that was acknowledged before it began (I4).

import Base

enum ReadChecker {
  static func check(_ shard: Int, _ number: Int, pin: LogIndex, acknowledged: LogIndex, began: Int64) throws(Violation)
  {
    guard pin >= acknowledged else {
      throw Violation(
        checker: "reads",
        message:
          "\(number) answers from index \(pin) of shard \(shard); \(acknowledged) was acknowledged before the read "
          + "began at \(began / 1_000_000) ms")
    }
  }
}
