// An epoch and an index never name two records.

import Base

struct RecordNameChecker {
  private struct Name: Hashable {
    let epoch: Epoch
    let index: Int
  }

  private var ids: [[Name: UInt64]]

  init(shards: Int) { ids = Array(repeating: [:], count: shards) }

  mutating func named(_ shard: Int, _ index: Int, _ entry: ShardLog.Entry) throws(Violation) {
    let name = Name(epoch: entry.epoch, index: index)
    guard ids[shard].updateValue(entry.id, forKey: name) == nil else {
      throw Violation(checker: "names of records", message: "\(entry.epoch).\(index) of shard \(shard) is used twice")
    }
  }
}
