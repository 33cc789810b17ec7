// Runs membership and ownership together. Safety first: faults, with every checker that may speak at any time. Then all
// faults end and progress is demanded: views come together, every shard is served and written, replicas are equal.

import Base
import Control
import Membership
import Replication
import Simulator

package enum JointSimulation {
  package static func run(seed: UInt64, bugs: JointBugs = .init(), isTraced: Bool = false) -> ClusterSimulation.Outcome
  {
    let plan = ClusterPlan(seed: seed, joint: bugs)
    let world = ClusterWorld(plan: plan, seed: seed, isTraced: isTraced)
    for number in 0..<(plan.ownership?.running ?? 0) { world.start(number) }
    world.run(until: plan.end)
    let progress = world.violation == nil ? finish(world) : nil
    return ClusterSimulation.Outcome(
      seed: seed, violation: world.violation, trace: world.trace, totals: world.totals, convergence: progress)
  }

  package static func plan(seed: UInt64) -> [String] { ClusterPlan(seed: seed, joint: .init()).listing }

  /// From the heal until all is well, in nanoseconds.
  private static func finish(_ world: ClusterWorld) -> Int64? {
    guard let ownership = world.ownership else { return nil }
    world.heal()
    let healed = world.now
    let counts = ownership.plan.shards.indices.map { ownership.checkers.acknowledged.count($0) }
    // The longest patience of a voter that asked in vain, the dead that are tried every two seconds, what is late.
    let bound = 40 * ClusterPlan.second + world.plan.conditions.reorderDelay
    while world.violation == nil {
      let missing =
        OwnershipProgressChecker.difference(world, since: counts) ?? ConvergenceChecker.difference(world)
      guard let missing else { break }
      guard world.now - healed < bound else {
        world.fail(Violation(checker: "progress", message: "\(missing), \(bound / 1_000_000) ms after the heal"))
        return nil
      }
      world.run(until: world.now + 100_000_000)
    }
    let progress = world.now - healed
    world.check { () throws(Violation) in try OwnershipProgressChecker.check(world) }
    return progress
  }

  /// The errors that the machines can be told to make, by name, with the seeds within which each is found.
  package static let bugs: [(name: String, bug: JointBugs, seeds: Int)] =
    ownershipBugs.map { ($0.0, JointBugs(ownership: $0.1), $0.2) }
    + replicationBugs.map { ($0.0, JointBugs(replication: $0.1), $0.2) }
    + storeBugs.map { ($0.0, JointBugs(store: $0.1), $0.2) }

  private static let ownershipBugs: [(String, OwnershipBugs, Int)] = [
    ("adopt-early", .adoptEarly, 200), ("adopt-before-persisted", .useBeforePersisted, 20),
    ("forget-promise", .forgetPromise, 50), ("drop-lease-check", .dropLeaseCheck, 20),
    ("trust-late-watch", .trustLateWatch, 50), ("continue-epoch", .continueEpoch, 50),
    ("skip-own-record", .skipOwnRecord, 50), ("promote-with-too-few", .promoteWithTooFew, 50),
    ("ignore-previous-voters", .ignorePrevious, 400), ("skip-restart-wait", .skipRestartWait, 150),
    ("lease-from-receipt", .leaseFromReceipt, 300), ("ignore-damage", .ignoreDamage, 500),
    ("resume-after-unknown", .resumeAfterUnknown, 300), ("tell-ended-once", .tellEndedOnce, 500),
    ("longest-not-newest", .longestNotNewest, 100),
  ]

  private static let replicationBugs: [(String, ReplicationBugs, Int)] = [
    ("acknowledge-early", .acknowledgeEarly, 20), ("skip-fence", .skipFence, 50),
    ("acknowledge-without-recordings", .ignoreRecordings, 20), ("publish-parts", .publishParts, 20),
    ("fresh-by-receipt", .freshByReceipt, 100),
  ]

  private static let storeBugs: [(String, SimulatedStoreBugs, Int)] = [
    ("checkpoint-past-commit", .checkpointPastCommit, 50), ("ignore-base", .ignoreBase, 50),
  ]
}
