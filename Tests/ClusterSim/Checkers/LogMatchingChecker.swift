// Records of one epoch and index are the same on every disk, and so is everything before them: each is chained to one
// record before it.

import Base
import Formats

struct LogMatchingChecker {
  private struct Name: Hashable {
    let epoch: Epoch
    let index: LogIndex
  }

  private var checksums: [[Name: Checksum]]

  init(shards: Int) { checksums = Array(repeating: [:], count: shards) }

  mutating func held(_ number: Int, _ shard: Int, _ record: SealedRecord) throws(Violation) {
    let name = Name(epoch: record.header.epoch, index: record.header.index)
    guard let known = checksums[shard].updateValue(record.header.checksum, forKey: name) else { return }
    guard known == record.header.checksum else {
      throw Violation(checker: "log matching", message: "\(number) holds another \(record.position) of shard \(shard)")
    }
  }
}
