// Whom to probe next: round-robin over a random order that is drawn anew after each round (SWIM 4.3), so that every
// member is probed within 2n - 1 periods. A newcomer gets a random place.

import Base

struct ProbeOrder: Sendable {
  private var order: [NodeID] = []
  private var next = 0

  mutating func insert(_ node: NodeID, _ random: inout SeededGenerator) {
    let place = random.below(order.count + 1)
    order.insert(node, at: place)
    if place < next { next += 1 }
  }

  /// The next that `isWanted`; others are dropped and must be inserted again when they come back.
  mutating func pop(_ random: inout SeededGenerator, isWanted: (NodeID) -> Bool) -> NodeID? {
    while !order.isEmpty {
      if next >= order.count {
        order.shuffle(using: &random)
        next = 0
      }
      let node = order[next]
      if isWanted(node) {
        next += 1
        return node
      }
      order.remove(at: next)
    }
    return nil
  }
}
