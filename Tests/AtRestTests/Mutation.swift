// Small random damage for fuzzing: flips, replaced, inserted, removed and repeated bytes.

import Base

func mutated(_ bytes: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
  var bytes = bytes
  for _ in 0..<(1 + random.below(4)) {
    if bytes.isEmpty { return [UInt8(truncatingIfNeeded: random.next())] }
    let at = random.below(bytes.count)
    switch random.below(6) {
    case 0: bytes[at] ^= 1 << UInt8(random.below(8))
    case 1: bytes[at] = UInt8(truncatingIfNeeded: random.next())
    case 2: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: at)
    case 3: bytes.remove(at: at)
    case 4: bytes.removeLast(random.below(min(bytes.count, 64)))
    default:
      let part = bytes[at..<min(bytes.count, at + random.below(40))]
      bytes.insert(contentsOf: part, at: random.below(bytes.count))
    }
  }
  return bytes
}
