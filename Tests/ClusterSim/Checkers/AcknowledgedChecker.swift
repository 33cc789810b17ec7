// No acknowledged write is lost: whoever begins to serve has all that were acknowledged in its epoch or before (I1).

import Base
import Formats

struct AcknowledgedChecker {
  struct Write {
    let position: Position
    let epoch: Epoch
    let at: Int64
  }

  private var writes: [[Write]]

  init(shards: Int) { writes = Array(repeating: [], count: shards) }

  mutating func acknowledged(_ shard: Int, _ position: Position, _ epoch: Epoch, at now: Int64) {
    writes[shard].append(Write(position: position, epoch: epoch, at: now))
  }

  /// The greatest index that was acknowledged: what a read that begins now must see.
  func last(_ shard: Int) -> LogIndex { writes[shard].last?.position.index ?? 0 }
  func count(_ shard: Int) -> Int { writes[shard].count }

  /// The greatest index that was acknowledged before an instant.
  func last(_ shard: Int, before instant: Int64) -> LogIndex {
    var (low, high) = (0, writes[shard].count)
    while low < high {
      let middle = (low + high) / 2
      if writes[shard][middle].at < instant { low = middle + 1 } else { high = middle }
    }
    return low > 0 ? writes[shard][low - 1].position.index : 0
  }

  /// What lies before the log's start was compared when it was published.
  func check(_ shard: Int, _ epoch: Epoch, _ number: Int, _ log: ShardLog) throws(Violation) {
    for write in writes[shard].reversed() where write.epoch <= epoch {
      guard write.position.index > log.start.index else { return }
      guard log.records(from: write.position.index)?.first?.position == write.position else {
        throw Violation(
          checker: "acknowledged writes",
          message: "\(number) serves shard \(shard) without the write at \(write.position), its log ends at \(log.end)")
      }
    }
  }
}
