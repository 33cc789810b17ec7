// Only what the disks of a write set have had is published and acknowledged (I3).

import Base
import Control

struct PublishChecker {
  private struct Held {
    let position: Position
    var nodes: UInt64
  }

  /// By shard and index: which record was on which disks.
  private var held: [[LogIndex: [Held]]]

  init(shards: Int) { held = Array(repeating: [:], count: shards) }

  mutating func held(_ number: Int, _ shard: Int, _ position: Position) {
    let bit = UInt64(1) << UInt64(number)
    if let i = held[shard][position.index]?.firstIndex(where: { $0.position == position }) {
      held[shard][position.index]?[i].nodes |= bit
    } else {
      held[shard][position.index, default: []].append(Held(position: position, nodes: bit))
    }
  }

  func check(
    _ shard: Int, _ position: Position, _ epoch: Epoch, _ number: Int, _ world: ClusterWorld
  ) throws(Violation) {
    let mask = held[shard][position.index]?.first { $0.position == position }?.nodes ?? 0
    let nodes = Set(world.members.indices.filter { mask & (1 << UInt64($0)) != 0 }.map { world.members[$0].id })
    guard world.ownership?.checkers.decisions.isWriteSet(shard, epoch, nodes) == true else {
      throw Violation(
        checker: "publishing",
        message: "\(number) publishes \(position) of shard \(shard), which only \(nodes.count) disks have had")
    }
  }
}
