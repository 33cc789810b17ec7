// What a checkpoint took is a place of the log that goes on behind it.

import Base
import Formats

enum CheckpointChecker {
  static func check(_ shard: Int, _ number: Int, _ main: Position, _ tail: [SealedRecord]) throws(Violation) {
    guard let first = tail.first else { return }
    guard first.header.index == main.index + 1, first.header.previous == main.checksum else {
      throw Violation(
        checker: "checkpoints",
        message: "the pages of \(number) are at \(main) of shard \(shard), its log goes on at \(first.position)")
    }
  }
}
