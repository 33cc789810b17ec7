// One process acknowledges in one epoch of one shard (I2).

import Base

struct PrimaryChecker {
  private struct Key: Hashable {
    let shard: Int
    let epoch: Epoch
  }

  private var primaries: [Key: (number: Int, life: Int)] = [:]

  mutating func acknowledged(_ shard: Int, _ epoch: Epoch, _ number: Int, _ life: Int) throws(Violation) {
    let key = Key(shard: shard, epoch: epoch)
    let known = primaries[key] ?? (number, life)
    guard known == (number, life) else {
      throw Violation(
        checker: "one primary",
        message: "\(known.number) and \(number) acknowledge in epoch \(epoch) of shard \(shard)")
    }
    primaries[key] = known
  }
}
