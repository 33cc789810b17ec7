// Only what the disks of a write set have had is published and acknowledged (I3).

import Base
import Control

struct PublishChecker {
  private struct Held {
    let epoch: Epoch
    var nodes: UInt64
  }

  /// By shard and index: which record was on which disks.
  private var held: [[[Held]]]

  init(shards: Int) { held = Array(repeating: [], count: shards) }

  mutating func held(_ number: Int, _ shard: Int, _ log: [ShardLog.Entry], from first: Int) {
    while held[shard].count < log.count { held[shard].append([]) }
    for index in first..<max(first, log.count) {
      let bit = UInt64(1) << UInt64(number)
      if let i = held[shard][index].firstIndex(where: { $0.epoch == log[index].epoch }) {
        held[shard][index][i].nodes |= bit
      } else {
        held[shard][index].append(Held(epoch: log[index].epoch, nodes: bit))
      }
    }
  }

  func check(
    _ shard: Int, _ index: Int, _ epoch: Epoch, _ number: Int, _ world: ClusterWorld
  ) throws(Violation) {
    let mask = index <= held[shard].count ? held[shard][index - 1].first { $0.epoch == epoch }?.nodes ?? 0 : 0
    let nodes = Set(world.members.indices.filter { mask & (1 << UInt64($0)) != 0 }.map { world.members[$0].id })
    guard world.ownership?.checkers.decisions.isWriteSet(shard, epoch, nodes) == true else {
      throw Violation(
        checker: "publishing",
        message: "\(number) publishes \(epoch).\(index) of shard \(shard), which only \(nodes.count) disks have had")
    }
  }
}
