// A few dozen seeds of clusters in virtual time, the planted bugs that the checkers must find, and the promised times.
// The long run is `komora-cluster-sim`.

import Base
import ClusterSim
import Membership
import Simulator
import Testing

@Suite struct ClusterSeedTests {
  @Test("no checker finds anything in twenty seeds, and each meets faults", arguments: [1, 11])
  func seedsPass(from first: UInt64) {
    for seed in first..<(first + 10) {
      let outcome = ClusterSimulation.run(seed: seed)
      #expect(outcome.violation == nil, "seed \(seed)")
      #expect(outcome.totals.faults > 0, "seed \(seed)")
    }
  }

  @Test("a planted bug is convicted", arguments: ClusterSimulation.bugs.map(\.name))
  func bugIsConvicted(name: String) throws {
    let bug = try #require(ClusterSimulation.bugs.first { $0.name == name })
    let seed = (1...bug.seeds).first { ClusterSimulation.run(seed: UInt64($0), bugs: bug.bug).violation != nil }
    #expect(seed != nil, "\(bug.seeds) seeds did not find \(name)")
  }

  @Test("a seed repeats itself to the last word")
  func isDeterministic() {
    let (a, b) = (ClusterSimulation.run(seed: 5, isTraced: true), ClusterSimulation.run(seed: 5, isTraced: true))
    #expect(!a.trace.isEmpty)
    #expect(a.trace == b.trace)
  }

  @Test("all of five members know of a death in at most 0.35 of memberlist's 5.7 s")
  func detection() {
    let result = ClusterMeasurement.detection(5, .lan, deaths: 9, seed: 3)
    #expect(result.all.count == 9)
    #expect(result.all[4] <= 1_995_000_000)
    #expect(result.falseDeaths == 0)
  }

  @Test("what a member sends does not grow with the number of members")
  func constantRate() {
    let small = ClusterMeasurement.detection(5, .lan, deaths: 1, seed: 4)
    let large = ClusterMeasurement.detection(40, .lan, deaths: 1, seed: 4)
    #expect(large.quietRate < small.quietRate * 1.05)
    #expect(large.quietMost < 15)
  }

  @Test("a hundred restarts of one member leave no false belief")
  func restarts() {
    let world = ClusterWorld(plan: ClusterPlan(count: 6, configuration: .lan), seed: 6)
    for number in 0..<6 { world.start(number) }
    var random = SeededGenerator(seed: 6)
    var wronged = 0
    world.onNews = { _, news, _ in
      if case .dead(let member) = news, world.number(of: member.node) != 3 { wronged += 1 }
    }
    for _ in 0..<100 {
      world.run(until: world.now + Int64(random.below(4000)) * 1_000_000)
      world.crash(3)
      world.run(until: world.now + Int64(random.below(4000)) * 1_000_000)
      world.start(3)
    }
    world.run(until: world.now + 5_000_000_000)
    #expect(world.violation == nil)
    #expect(world.difference == nil)
    #expect(wronged == 0)
  }

  @Test("five starved members believe nobody dead")
  func starvation() {
    let result = ClusterMeasurement.starvation(5, starved: 5, .lan, seconds: 300, seed: 5)
    #expect(result.stalls > 1000)
    #expect(result.falseDeaths == 0)
  }

  @Test("a region that was heard by nobody makes nobody believe what it believed meanwhile")
  func oneWayCut() {
    func falseDeaths(_ bugs: PlantedBugs) -> Int {
      var configuration = SwimConfiguration.lan
      configuration.plantedBugs = bugs
      return (1...60).reduce(0) { $0 + ClusterMeasurement.falseDeathsAfterOneWayCut(configuration, seed: UInt64($1)) }
    }
    #expect(falseDeaths([]) == 0)
    #expect(falseDeaths(.buryUnheard) > 0)
  }
}
