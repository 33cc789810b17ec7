// What is published is the same everywhere: one record at each index (I5).

import Base

struct ReplicaChecker {
  private var published: [[ShardLog.Entry]]

  init(shards: Int) { published = Array(repeating: [], count: shards) }

  mutating func published(
    _ shard: Int, _ number: Int, _ log: [ShardLog.Entry], from: Int, to: Int
  ) throws(Violation) {
    for index in from..<to {
      if index == published[shard].count {
        published[shard].append(log[index])
      } else if published[shard][index] != log[index] {
        throw Violation(
          checker: "replicas", message: "\(number) publishes another record at \(index + 1) of shard \(shard)")
      }
    }
  }

  /// Logs of voters that caught up.
  func check(_ shard: Int, _ number: Int, _ log: [ShardLog.Entry]) throws(Violation) {
    for (a, b) in zip(log, published[shard]) where a != b {
      throw Violation(checker: "replicas", message: "\(number) holds another record of shard \(shard) after all")
    }
  }
}
