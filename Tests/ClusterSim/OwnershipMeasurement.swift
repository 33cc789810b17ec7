// Times of ownership in calm clusters, in virtual time: how long nobody acknowledges after a primary's death and around a
// hand-over, and whether writes go on while the control store is away.

import Base
import Control
import Formats
import Simulator

package enum OwnershipMeasurement {
  package struct Outages: Sendable {
    /// From the fault to the next acknowledged write, in nanoseconds, sorted.
    package var times: [Int64] = []
    package var violation: Violation?

    package var median: Int64 { times.isEmpty ? 0 : times[times.count / 2] }
    package var worst: Int64 { times.last ?? 0 }
  }

  package struct StoreOutage: Sendable {
    package var acknowledgedBefore = 0
    package var acknowledgedMeanwhile = 0
    /// New primaries while the store was away.
    package var leadsBegun = 0
    package var violation: Violation?
  }

  private static let second = ClusterPlan.second

  /// A cluster of `count` with one shard that is served.
  private static func calm(_ count: Int, shards: Int = 1, regions: Int, hints: Bool, seed: UInt64) -> ClusterWorld {
    let plan = ClusterPlan(calm: count, shards: shards, regions: regions, hints: hints, seed: seed)
    let world = ClusterWorld(plan: plan, seed: seed)
    for number in 0..<count { world.start(number) }
    world.run(until: 5 * second)
    return world
  }

  private static func primary(_ world: ClusterWorld) -> Int? {
    world.truth(0)?.record.primary.flatMap { world.number(of: $0) }
  }

  /// Until the next acknowledged write; nil when there is none within 20 s.
  private static func outage(_ world: ClusterWorld) -> Int64? {
    guard let ownership = world.ownership else { return nil }
    let (began, before) = (world.now, ownership.checkers.acknowledged.count(0))
    while ownership.checkers.acknowledged.count(0) == before {
      guard world.violation == nil, world.now - began < 20 * second else { return nil }
      world.run(until: world.now + 1_000_000)
    }
    return world.now - began
  }

  /// The primary's process is killed, `deaths` times; with hints streams tell at once that it is gone.
  package static func killed(
    _ count: Int = 5, regions: Int = 1, hints: Bool, deaths: Int, seed: UInt64
  ) -> Outages {
    let world = calm(count, regions: regions, hints: hints, seed: seed)
    var result = Outages()
    for _ in 0..<deaths {
      world.run(until: world.now + Int64(world.random.below(1000)) * 1_000_000)
      guard let victim = primary(world) else {
        result.violation = Violation(checker: "measurement", message: "no primary at \(world.now / 1_000_000) ms")
        return result
      }
      world.crash(victim)
      guard let time = outage(world) else {
        result.violation = world.violation ?? Violation(checker: "measurement", message: "no write within 20 s")
        return result
      }
      result.times.append(time)
      world.start(victim)
      world.run(until: world.now + 5 * second)
    }
    result.times.sort()
    result.violation = world.violation
    return result
  }

  package static func handedOver(_ count: Int = 5, regions: Int = 1, times: Int, seed: UInt64) -> Outages {
    let world = calm(count, regions: regions, hints: true, seed: seed)
    var result = Outages()
    for _ in 0..<times {
      world.run(until: world.now + Int64(world.random.below(1000)) * 1_000_000)
      guard let before = primary(world), world.handOver(0) else { break }
      let began = world.now
      while world.violation == nil, primary(world) == before || !isServed(world) {
        guard world.now - began < 20 * second else { return result }
        world.run(until: world.now + 1_000_000)
      }
      result.times.append(world.now - began)
      world.run(until: world.now + second)
    }
    result.times.sort()
    result.violation = world.violation
    return result
  }

  private static func isServed(_ world: ClusterWorld) -> Bool {
    guard let ownership = world.ownership, let number = primary(world) else { return false }
    return ownership.owners[number].driver?.machine.writableEpoch(ownership.plan.shards[0].account) != nil
  }

  /// The control store is away for `seconds`.
  package static func withoutStore(_ count: Int = 5, shards: Int = 3, seconds: Int, seed: UInt64) -> StoreOutage {
    let world = calm(count, shards: shards, regions: 1, hints: true, seed: seed)
    var result = StoreOutage()
    guard let ownership = world.ownership else { return result }
    result.acknowledgedBefore = world.totals.counts["write acknowledged"] ?? 0
    let before = world.totals.counts["lead begun"] ?? 0
    ownership.storeDownUntil = world.now + Int64(seconds) * second
    world.breakWatches()
    world.run(until: ownership.storeDownUntil)
    result.acknowledgedMeanwhile = (world.totals.counts["write acknowledged"] ?? 0) - result.acknowledgedBefore
    result.leadsBegun = (world.totals.counts["lead begun"] ?? 0) - before
    result.violation = world.violation
    return result
  }
}
