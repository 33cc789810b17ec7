// An epoch and an index never name two records.

import Base

struct RecordNameChecker {
  private struct Name: Hashable {
    let epoch: Epoch
    let index: LogIndex
  }

  private var names: [Set<Name>]

  init(shards: Int) { names = Array(repeating: [], count: shards) }

  mutating func named(_ shard: Int, _ position: Position) throws(Violation) {
    guard names[shard].insert(Name(epoch: position.epoch, index: position.index)).inserted else {
      throw Violation(checker: "names of records", message: "\(position) of shard \(shard) is used twice")
    }
  }
}
