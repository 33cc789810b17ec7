// Seeded damage of encoded bytes: flips, cuts, insertions. A reader may refuse them or read something, but never trap.

import Base

struct Mutations {
  private var random: SeededGenerator
  init(seed: UInt64) { random = SeededGenerator(seed: seed) }

  mutating func mutated(_ bytes: [UInt8]) -> [UInt8] {
    var out = bytes
    for _ in 0..<(1 + random.below(4)) {
      switch random.below(5) {
      case 0 where !out.isEmpty: out[random.below(out.count)] ^= 1 << UInt8(random.below(8))
      case 1 where !out.isEmpty: out.removeLast(random.below(out.count) + 1)
      case 2 where !out.isEmpty: out[random.below(out.count)] = UInt8(truncatingIfNeeded: random.next())
      case 3 where out.count > 4:
        let at = random.below(out.count - 4)
        for i in 0..<4 { out[at + i] = 0xFF }
      default: out.insert(UInt8(truncatingIfNeeded: random.next()), at: random.below(out.count + 1))
      }
    }
    return out
  }
}
