// Runs seeds. Safety first: faults, with every checker that may speak at any time. Then all faults end and progress is
// demanded: views come together within a bound, stay right, and a death is noticed in time.

import Base
package import Membership
import Simulator

package enum ClusterSimulation {
  package struct Outcome: Sendable {
    package var seed: UInt64
    package var violation: Violation?
    package var trace: [String]
    package var totals: ClusterTotals
    /// From the end of the faults until all views were right, in nanoseconds.
    package var convergence: Int64?
  }

  package static func run(seed: UInt64, bugs: PlantedBugs = [], isTraced: Bool = false) -> Outcome {
    let plan = ClusterPlan(seed: seed, bugs: bugs)
    let world = ClusterWorld(plan: plan, seed: seed, isTraced: isTraced)
    for number in plan.regions.indices { world.start(number) }
    world.run(until: plan.end)
    let convergence = world.violation == nil ? finish(world) : nil
    return Outcome(
      seed: seed, violation: world.violation, trace: world.trace, totals: world.totals,
      convergence: convergence)
  }

  /// What a seed will do, without doing it.
  package static func plan(seed: UInt64) -> [String] { ClusterPlan(seed: seed, bugs: []).listing }

  private static func finish(_ world: ClusterWorld) -> Int64? {
    // Somebody must be there to come together.
    if world.running.count < 2 { for number in world.members.indices { world.start(number) } }
    world.heal()
    let healed = world.now
    let configuration = world.plan.configuration
    // The dead are tried every few seconds, and a suspicion may take its longest time once more after that.
    let bound =
      (configuration.reconnectPeriod * 10 + configuration.suspicionMin(10) * configuration.suspicionSpread * 4
      + configuration.pushPullPeriod * 2).nanoseconds + world.plan.conditions.reorderDelay
    while world.violation == nil, let difference = ConvergenceChecker.difference(world) {
      guard world.now - healed < bound else {
        world.fail(Violation(checker: "convergence", message: "\(difference), \(bound / 1_000_000) ms after the heal"))
        return nil
      }
      world.run(until: world.now + 100_000_000)
    }
    let convergence = world.now - healed
    // The last late datagram has arrived by then, and news of the healing have been told.
    let lastArrival = max(world.now, healed + world.plan.conditions.reorderDelay)
    world.run(until: lastArrival)
    for number in world.running { world.happen(.sample(number, lagMilliseconds: 0, diskFillPermille: 10)) }
    world.run(until: lastArrival + configuration.pushPullPeriod.nanoseconds)
    let quiet = QuietChecker(world)
    world.run(until: world.now + configuration.probePeriod.nanoseconds * 40)
    world.check { () throws(Violation) in
      try quiet.check(world)
      try HealthChecker.check(world)
    }
    detect(world)
    return convergence
  }

  private static func detect(_ world: ClusterWorld) {
    let running = world.running
    guard world.violation == nil, running.count > 2 else { return }
    let victim = running[world.random.below(running.count)]
    world.crash(victim)
    var checker = DetectionChecker(victim: victim, world)
    let end = world.now + checker.bound
    world.onNews = { checker.heard($0, $1, at: $2, world) }
    world.run(until: end)
    world.onNews = { _, _, _ in }
    world.check { () throws(Violation) in try checker.check(world) }
  }

  /// The errors that the machine can be told to make, by name, with the seeds within which each is found.
  package static let bugs: [(name: String, bug: PlantedBugs, seeds: Int)] = [
    ("skip-refutation", .skipRefutation, 20), ("reuse-incarnation", .reuseIncarnation, 20),
    ("use-before-persisted", .useBeforePersisted, 100), ("never-retransmit", .neverRetransmit, 20),
    ("drop-merge", .dropMerge, 20), ("resurrect-left", .resurrectLeft, 100),
    ("never-reconnect", .neverReconnect, 20), ("suspect-forever", .suspectForever, 20),
    ("invent-incarnation", .inventIncarnation, 20), ("gossip-without-bound", .gossipWithoutBound, 20),
    ("ignore-confirmations", .ignoreConfirmations, 20), ("ignore-health", .ignoreHealth, 20),
  ]
}
