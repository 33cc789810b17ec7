// No acknowledged write is lost: whoever begins to serve has all that were acknowledged in its epoch or before (I1).

import Base

struct AcknowledgedChecker {
  private var writes: [[(index: Int, id: UInt64, epoch: Epoch)]]

  init(shards: Int) { writes = Array(repeating: [], count: shards) }

  mutating func acknowledged(_ shard: Int, _ index: Int, _ id: UInt64, _ epoch: Epoch) {
    writes[shard].append((index, id, epoch))
  }

  /// The greatest index that was acknowledged: what a read that begins now must see.
  func last(_ shard: Int) -> Int { writes[shard].last?.index ?? 0 }
  func count(_ shard: Int) -> Int { writes[shard].count }

  func check(_ shard: Int, _ epoch: Epoch, _ number: Int, _ log: ShardLog) throws(Violation) {
    for write in writes[shard] where write.epoch <= epoch {
      guard write.index <= log.entries.count, log.entries[write.index - 1].id == write.id else {
        throw Violation(
          checker: "acknowledged writes",
          message: "\(number) serves shard \(shard) without write \(write.id) at \(write.index), its log has "
            + "\(log.entries.count)")
      }
    }
  }
}
