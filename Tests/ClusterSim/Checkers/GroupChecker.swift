// Only whole transactions are published, and the log that readers were promised is the one that they see.

import Base
import Formats

struct GroupChecker {
  func published(
    _ shard: Int, _ number: Int, _ position: Position, told: Position, _ log: ShardLog
  ) throws(Violation) {
    guard position == told else {
      throw Violation(checker: "groups", message: "\(number) is at \(position) of shard \(shard), told \(told)")
    }
    guard log.records(from: position.index)?.first?.header.continues != true else {
      throw Violation(
        checker: "groups", message: "\(number) publishes \(position) of shard \(shard), a part of a transaction")
    }
  }
}
