// A network in virtual time: delay by pair of regions, jitter, loss, duplication, reordering, and cuts that may be one-way
// or between some pairs only. It decides when a message arrives, or that it never does; who runs it delivers.

import Base

package struct VirtualNetwork {
  package struct Conditions: Sendable, CustomStringConvertible {
    /// Within a region, and between two, one way.
    package var delay: Int64 = 200_000
    package var delayBetweenRegions: Int64 = 40_000_000
    /// A delay is stretched by up to so many thousandths.
    package var jitterPermille = 200
    package var lossPermille = 0
    package var duplicatePermille = 0
    /// So many are held back, by up to `reorderDelay`.
    package var reorderPermille = 0
    package var reorderDelay: Int64 = 50_000_000

    package init() {}

    package var description: String {
      "delay \(delay / 1000) us, between regions \(delayBetweenRegions / 1_000_000) ms, jitter \(jitterPermille), "
        + "loss \(lossPermille), twice \(duplicatePermille), reordered \(reorderPermille) permille"
    }
  }

  /// From one endpoint to another; the other way is another link.
  private struct Link: Hashable {
    let from: Int
    let to: Int
  }

  package var conditions: Conditions
  package private(set) var counts = NetworkFaultCounts()
  private var regions: [Int]
  private var cuts: [Link: Int] = [:]
  private var random: SeededGenerator

  /// `regions`: of each endpoint, by its number.
  package init(regions: [Int], conditions: Conditions, seed: UInt64) {
    self.regions = regions
    self.conditions = conditions
    random = SeededGenerator(seed: seed)
  }

  /// Cuts one direction. Cuts add up: each needs its `heal`.
  package mutating func cut(from: Int, to: Int) { cuts[Link(from: from, to: to), default: 0] += 1 }

  package mutating func heal(from: Int, to: Int) {
    let link = Link(from: from, to: to)
    guard let count = cuts[link] else { return }
    cuts[link] = count > 1 ? count - 1 : nil
  }

  package mutating func healAll() { cuts = [:] }

  package func isCut(from: Int, to: Int) -> Bool { cuts[Link(from: from, to: to)] != nil }
  package var hasCuts: Bool { !cuts.isEmpty }

  /// When copies of a datagram sent now arrive: none, one or two of them.
  package mutating func datagram(from: Int, to: Int, at now: Int64) -> [Int64] {
    guard !isCut(from: from, to: to) else {
      counts.cut += 1
      return []
    }
    if happens(conditions.lossPermille) {
      counts.lost += 1
      return []
    }
    guard happens(conditions.duplicatePermille) else { return [now + delay(from, to)] }
    counts.duplicated += 1
    return [now + delay(from, to), now + delay(from, to)]
  }

  /// When a message on a stream arrives; loss only makes it later. Nil where either direction is cut.
  package mutating func message(from: Int, to: Int, at now: Int64) -> Int64? {
    guard !isCut(from: from, to: to), !isCut(from: to, to: from) else {
      counts.cut += 1
      return nil
    }
    // A stream opens with one more round trip; each loss costs about one more.
    var trips: Int64 = 3
    while trips < 13, happens(conditions.lossPermille) { trips += 2 }
    return now + delay(from, to) * trips
  }

  /// When what is sent on a stream that is open arrives; loss only makes it later. Nil where the way is cut.
  package mutating func onStream(from: Int, to: Int, at now: Int64) -> Int64? {
    guard !isCut(from: from, to: to) else { return nil }
    var trips: Int64 = 1
    while trips < 9, happens(conditions.lossPermille) { trips += 2 }
    return now + way(from, to) * trips
  }

  private mutating func way(_ from: Int, _ to: Int) -> Int64 {
    let base = regions[from] == regions[to] ? conditions.delay : conditions.delayBetweenRegions
    return base + base / 1000 * Int64(random.below(conditions.jitterPermille + 1))
  }

  private mutating func delay(_ from: Int, _ to: Int) -> Int64 {
    var delay = way(from, to)
    if happens(conditions.reorderPermille) {
      counts.reordered += 1
      delay += Int64(random.below(Int(conditions.reorderDelay) + 1))
    }
    return delay
  }

  private mutating func happens(_ permille: Int) -> Bool { permille > 0 && random.below(1000) < permille }
}
