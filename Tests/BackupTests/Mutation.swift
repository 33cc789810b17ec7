// Ways to damage bytes that a seed repeats.

import Base

extension [UInt8] {
  func flipped(_ bit: Int) -> [UInt8] {
    var copy = self
    copy[bit / 8] ^= 1 << UInt8(bit % 8)
    return copy
  }

  /// A few bytes changed, cut off, added or doubled.
  func mutated(using random: inout SeededGenerator) -> [UInt8] {
    var copy = self
    for _ in 0...random.below(3) {
      switch random.below(5) {
      case 0 where !copy.isEmpty: copy[random.below(copy.count)] = UInt8(truncatingIfNeeded: random.next())
      case 1 where !copy.isEmpty: copy.removeLast(1 + random.below(Swift.min(copy.count, 8)))
      case 2: copy += (0...random.below(8)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      case 3 where copy.count >= 8:
        // Lengths and counts at their edges.
        let at = random.below(copy.count - 4)
        for i in 0..<4 { copy[at + i] = random.oneIn(2) ? 0xFF : 0 }
      default:
        if !copy.isEmpty { copy[random.below(copy.count)] ^= 1 << UInt8(random.below(8)) }
      }
    }
    return copy
  }

  /// Makes the last four bytes the CRC-32C of what lies before them.
  mutating func mendChecksum() {
    guard count >= 4 else { return }
    removeLast(4)
    let checksum = CRC32C.checksum(self)
    for shift in [0, 8, 16, 24] { append(UInt8(truncatingIfNeeded: checksum >> UInt32(shift))) }
  }
}
