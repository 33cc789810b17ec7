// An epoch belongs to one life of the node that the control store named: no other process appends a record in it.

import Base

struct EpochLifeChecker {
  private struct Key: Hashable {
    let shard: Int
    let epoch: Epoch
  }

  private var lives: [Key: (number: Int, life: Int)] = [:]

  mutating func appended(
    _ shard: Int, _ epoch: Epoch, _ number: Int, _ life: Int, _ world: ClusterWorld
  ) throws(Violation) {
    let key = Key(shard: shard, epoch: epoch)
    if let known = lives[key] {
      guard known == (number, life) else {
        throw Violation(
          checker: "lives of epochs",
          message: "epoch \(epoch) of shard \(shard) is written by \(number) in life \(life) after \(known.number) in "
            + "life \(known.life)")
      }
      return
    }
    lives[key] = (number, life)
    try world.ownership?.checkers.decisions.began(shard, epoch, world.members[number].id, number)
  }
}
