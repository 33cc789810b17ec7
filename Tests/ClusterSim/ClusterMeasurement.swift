// Times of calm and of starved clusters, in virtual time: how long until all know of a death, what is sent meanwhile,
// and how many living members are believed dead when every process gets a quarter of its time.

import Base
package import Membership
package import Simulator

package enum ClusterMeasurement {
  package struct Detection: Sendable {
    package var members: Int
    /// From the death until the first, half, and all of the others believed it, in nanoseconds; sorted by run.
    package var first: [Int64] = []
    package var half: [Int64] = []
    package var all: [Int64] = []
    /// Datagrams and bytes per member and second while nothing happens, and the most of one member.
    package var quietRate = 0.0
    package var quietBytes = 0.0
    package var quietMost = 0.0
    /// The same in the seconds in which the death is found and told.
    package var newsRate = 0.0
    package var newsMost = 0.0
    package var falseDeaths = 0
  }

  package struct Starvation: Sendable {
    package var members: Int
    package var suspicions = 0
    package var falseDeaths = 0
    package var rate = 0.0
    package var stalls = 0
  }

  private static let second: Int64 = 1_000_000_000

  /// A cluster of `count` that has come together.
  package static func calm(
    _ count: Int, _ configuration: SwimConfiguration, regions: Int = 1, seed: UInt64,
    conditions: VirtualNetwork.Conditions = .init(), hints: Bool = false
  ) -> ClusterWorld {
    var plan = ClusterPlan(count: count, configuration: configuration)
    plan.conditions = conditions
    plan.hints = hints
    plan.regions = (0..<count).map { $0 % regions }
    let world = ClusterWorld(plan: plan, seed: seed, isChecked: false)
    for number in 0..<count {
      world.start(number, seeds: 3)
      if number % 10 == 0 { world.run(until: world.now + 100_000_000) }
    }
    while ConvergenceChecker.difference(world) != nil, world.now < 600 * second {
      world.run(until: world.now + second)
    }
    world.run(until: world.now + configuration.pushPullPeriod.nanoseconds)
    return world
  }

  package static func detection(
    _ count: Int, _ configuration: SwimConfiguration, regions: Int = 1, deaths: Int, seed: UInt64,
    conditions: VirtualNetwork.Conditions = .init(), hints: Bool = false
  ) -> Detection {
    let world = calm(count, configuration, regions: regions, seed: seed, conditions: conditions, hints: hints)
    var result = Detection(members: count)
    let period = 20 * second
    let quiet = rates(world, over: period)
    (result.quietRate, result.quietMost, result.quietBytes) = (quiet.mean, quiet.most, quiet.bytes)
    for death in 0..<deaths {
      let victim = death * 7 % count
      world.run(until: world.now + Int64(world.random.below(1000)) * 1_000_000)
      var known: [Int64] = []
      world.onNews = { _, news, now in
        guard case .dead(let member) = news else { return }
        if member.node == world.members[victim].id { known.append(now) } else { result.falseDeaths += 1 }
      }
      let died = world.now
      let before = world.members.map(\.datagramsSent)
      world.crash(victim)
      while known.count < count - 1, world.now - died < 120 * second { world.run(until: world.now + second / 20) }
      if known.count == count - 1 {
        result.first.append(known[0] - died)
        result.half.append(known[(known.count - 1) / 2] - died)
        result.all.append(known[known.count - 1] - died)
      }
      let seconds = Double(world.now - died) / 1e9
      let sent = world.running.map { Double(world.members[$0].datagramsSent - before[$0]) / seconds }
      result.newsRate = max(result.newsRate, sent.reduce(0, +) / Double(sent.count))
      result.newsMost = max(result.newsMost, sent.max() ?? 0)
      world.onNews = { _, _, _ in }
      world.start(victim, seeds: 3)
      world.run(until: world.now + 10 * second)
    }
    result.first.sort()
    result.half.sort()
    result.all.sort()
    return result
  }

  private static func rates(_ world: ClusterWorld, over time: Int64) -> (mean: Double, most: Double, bytes: Double) {
    let before = world.members.map { ($0.datagramsSent, $0.bytesSent) }
    world.run(until: world.now + time)
    let seconds = Double(time) / 1e9
    let sent = world.members.indices.map { Double(world.members[$0].datagramsSent - before[$0].0) / seconds }
    let bytes = world.members.indices.map { Double(world.members[$0].bytesSent - before[$0].1) / seconds }
    let count = Double(world.members.count)
    return (sent.reduce(0, +) / count, sent.max() ?? 0, bytes.reduce(0, +) / count)
  }

  /// `starved` of `count` members get a quarter of their time, in slices of 5 to 100 ms, for so many seconds.
  package static func starvation(
    _ count: Int, starved: Int, _ configuration: SwimConfiguration, seconds: Int, seed: UInt64
  ) -> Starvation {
    let world = calm(count, configuration, seed: seed)
    var result = Starvation(members: count)
    world.onNews = { _, news, _ in
      switch news {
      case .suspect: result.suspicions += 1
      case .dead: result.falseDeaths += 1
      default: break
      }
    }
    let end = world.now + Int64(seconds) * second
    for number in 0..<starved { world.beginStarvation(of: number, until: end) }
    let before = world.members.reduce(0) { $0 + $1.datagramsSent }
    world.run(until: end)
    let sent = world.members.reduce(0) { $0 + $1.datagramsSent } - before
    result.rate = Double(sent) / Double(seconds * count)
    result.stalls = world.members.reduce(0) { $0 + ($1.driver?.machine.counters.stalls ?? 0) }
    return result
  }

  /// Six members in three regions; nothing comes from one region until the others hold it dead, then all is whole again.
  /// How often a member outside was believed dead outside: those inside heard no answer and accuse everybody.
  package static func falseDeathsAfterOneWayCut(_ configuration: SwimConfiguration, seed: UInt64) -> Int {
    let world = calm(6, configuration, regions: 3, seed: seed)
    let (inside, outside) = ([1, 4], [0, 2, 3, 5])
    var (falseDeaths, known) = (0, Set<[Int]>())
    world.onNews = { watcher, news, _ in
      guard case .dead(let member) = news, let subject = world.number(of: member.node), outside.contains(watcher)
      else { return }
      if inside.contains(subject) { known.insert([watcher, subject]) } else { falseDeaths += 1 }
    }
    world.cut(inside, outside, 600 * second)
    while known.count < outside.count * inside.count, world.now < 600 * second {
      world.run(until: world.now + second / 100)
    }
    world.heal()
    world.run(until: world.now + 30 * second)
    return falseDeaths
  }
}
