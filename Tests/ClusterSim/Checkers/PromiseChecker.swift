// Promises survive restarts: a voter that reported or acknowledged in an epoch never does so in an older one, its disk
// has the epoch by then, and it reports no less than its disk has.

import Base
import Formats

struct PromiseChecker {
  /// By node and shard.
  private var greatest: [[Epoch]]
  private var disks: [[Epoch]]

  init(shards: Int, nodes: Int) {
    greatest = Array(repeating: Array(repeating: 0, count: shards), count: nodes)
    disks = greatest
  }

  mutating func started(_ number: Int, _ promises: [OwnershipPromise?]) {
    disks[number] = promises.map { $0?.epoch ?? 0 }
  }

  mutating func kept(_ number: Int, _ shard: Int, _ promise: OwnershipPromise) throws(Violation) {
    guard promise.epoch >= disks[number][shard] else {
      throw Violation(
        checker: "promises",
        message: "\(number) stores epoch \(promise.epoch) of shard \(shard) over \(disks[number][shard])")
    }
    disks[number][shard] = promise.epoch
  }

  mutating func acknowledged(_ number: Int, _ shard: Int, _ epoch: Epoch) throws(Violation) {
    guard epoch >= greatest[number][shard] else {
      throw Violation(
        checker: "promises",
        message: "\(number) acknowledges in epoch \(epoch) of shard \(shard) after \(greatest[number][shard])")
    }
    greatest[number][shard] = epoch
  }

  mutating func reported(
    _ number: Int, _ shard: Int, _ report: OwnershipMessage.Report, disk: OwnershipPromise?, log: ShardLog
  ) throws(Violation) {
    try acknowledged(number, shard, report.claim.epoch)
    guard let disk, disk.epoch >= report.claim.epoch else {
      throw Violation(
        checker: "promises",
        message: "\(number) reports in epoch \(report.claim.epoch), its disk has \(disk?.epoch ?? 0)")
    }
    guard report.place <= log.reached else {
      throw Violation(checker: "promises", message: "\(number) reports \(report.place), its disk has \(log.reached)")
    }
  }
}
