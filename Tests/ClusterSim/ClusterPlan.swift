// What a seed decides before the run: how many members, where, on what network, and everything that goes wrong.
//
// Mild chaos finds nothing even in a broken engine: faults overlap, return before the last one is over, and most runs
// have several at once.

import Base
package import Membership
package import Simulator

package struct ClusterPlan: Sendable {
  package var configuration: SwimConfiguration
  package var regions: [Int]
  package var conditions = VirtualNetwork.Conditions()
  /// Do neighbours notice at once that a process died, as a stream tells them?
  package var hints = false
  /// Nil: membership alone.
  package var ownership: OwnershipPlan?
  var faults: [(at: Int64, fault: ClusterFault)] = []
  /// Faults end here, in nanoseconds.
  package var end: Int64 = 0

  static let second: Int64 = 1_000_000_000

  /// A calm cluster of one region.
  package init(count: Int, configuration: SwimConfiguration) {
    self.configuration = configuration
    regions = [Int](repeating: 0, count: count)
  }

  package init(seed: UInt64, bugs: PlantedBugs) {
    var random = SeededGenerator(seed: seed)
    let isWide = random.oneIn(3)
    configuration = isWide ? .wan : .lan
    configuration.plantedBugs = bugs
    // A small reserve is used up, so that refutations meet the disk too.
    if random.oneIn(2) { configuration.incarnationReserve = 2 }
    let count = 2 + random.below(8)
    regions = (0..<count).map { _ in isWide ? random.below(3) : 0 }
    conditions.jitterPermille = random.below(1000)
    conditions.lossPermille = random.oneIn(3) ? random.below(350) : random.below(60)
    conditions.duplicatePermille = random.below(100)
    conditions.reorderPermille = random.oneIn(2) ? random.below(300) : 0
    // Sometimes so late that the sender lives another life when it arrives.
    conditions.reorderDelay = Int64(1 + random.below(random.oneIn(4) ? 30_000 : 2000)) * 1_000_000
    hints = random.oneIn(2)
    let length = Int64(20 + random.below(60)) * Self.second
    var at = 2 * Self.second
    while at < length {
      faults.append((at, Self.fault(count, &random)))
      // Often the next one comes while the last is fresh.
      at += random.oneIn(2) ? Int64(random.below(300)) * 1_000_000 : Int64(random.below(8000)) * 1_000_000
    }
    end = length
  }

  private static func fault(_ count: Int, _ random: inout SeededGenerator) -> ClusterFault {
    let node = random.below(count)
    let time = Int64(random.oneIn(3) ? random.below(20_000) : random.below(2_000)) * 1_000_000
    let long = random.oneIn(2) ? time : Int64(5 + random.below(60)) * second
    switch random.below(24) {
    case 0...3: return .crash(node)
    case 4...8: return .restart(node)
    case 9: return .leave(node)
    case 10, 11: return .pause(node, time)
    case 12: return .starve(node, time * 2)
    case 13: return .slowDisk(node, time / 4)
    case 14, 15, 16:
      // Often long enough that each side buries the other.
      return .partition(side: (0..<count).filter { _ in random.oneIn(2) }, long)
    case 17:
      return .oneWay(
        from: (0..<count).filter { _ in random.oneIn(2) }, to: (0..<count).filter { _ in random.oneIn(2) }, long)
    case 18 where random.oneIn(2): return .powerFailure
    case 18, 19: return .streamClosed(node, random.below(count))
    case 20: return .streamRefused(node, random.below(count))
    default: return .sample(node, lagMilliseconds: random.below(200), diskFillPermille: random.below(1000))
    }
  }

  /// Printed before anything happens.
  package var listing: [String] {
    let profile = configuration.probePeriod == SwimConfiguration.lan.probePeriod ? "LAN" : "WAN"
    return [
      "plan: \(regions.count) members in regions \(regions), \(profile), \(conditions)"
        + (hints ? ", streams give hints" : "")
        + ", reserve \(configuration.incarnationReserve), faults until \(end / Self.second) s"
    ] + (ownership.map { ["plan: shards \($0.listing)"] } ?? [])
      + faults.map { "plan: \($0.at / 1_000_000) ms \($0.fault)" }
  }
}
