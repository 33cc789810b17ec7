// One run over a range of seeds, several at a time, and what it prints.

import ClusterSim

struct SeedRun {
  let options: Options
  /// From here on a run must have met every class of fault.
  private static let completeRun = 400

  private struct Sum {
    var totals = ClusterTotals()
    var (ran, failed) = (0, 0)
    var times: [Int64] = []
  }

  init(_ options: Options) { self.options = options }

  /// True when the run is as it must be.
  func run() async -> Bool {
    if let what = options.measures { return Measurements.print(what) }
    if !options.bugs.isEmpty { return await convict() }
    let clock = ContinuousClock()
    let began = clock.now
    var sum = Sum()
    var next = options.from
    let end = options.from + options.seeds
    await withTaskGroup(of: ClusterSimulation.Outcome.self) { group in
      for _ in 0..<options.jobs where next < end {
        start(next, &group)
        next += 1
      }
      for await outcome in group {
        take(outcome, &sum)
        if next < end { start(next, &group) }
        next += 1
      }
    }
    return finish(sum, seconds: Double((clock.now - began).components.seconds) + 0.5)
  }

  private func start(_ seed: Int, _ group: inout TaskGroup<ClusterSimulation.Outcome>) {
    // Printed before the run, so that a trap leaves it behind.
    let isJoint = !options.isMembershipOnly
    let plan = isJoint ? JointSimulation.plan(seed: UInt64(seed)) : ClusterSimulation.plan(seed: UInt64(seed))
    print("seed \(seed) " + (options.isVerbose ? plan.joined(separator: "\n") : plan[0]))
    let isTraced = options.isTraced || options.seeds == 1
    group.addTask {
      isJoint
        ? JointSimulation.run(seed: UInt64(seed), isTraced: isTraced)
        : ClusterSimulation.run(seed: UInt64(seed), isTraced: isTraced)
    }
  }

  private func take(_ outcome: ClusterSimulation.Outcome, _ sum: inout Sum) {
    sum.totals.add(outcome.totals)
    sum.ran += 1
    let isBad = outcome.violation != nil || outcome.totals.faults == 0
    if options.isTraced || isBad { print(outcome.trace.joined(separator: "\n")) }
    print("seed \(outcome.seed): \(outcome.totals.faults) faults took effect")
    if isBad {
      sum.failed += 1
      print("seed \(outcome.seed) failed: \(outcome.violation.map { "\($0)" } ?? "no fault took effect")")
    } else if let time = outcome.convergence {
      sum.times.append(time)
    }
  }

  private func finish(_ sum: Sum, seconds: Double) -> Bool {
    print(sum.totals.listing.joined(separator: "\n"))
    print("network: \(sum.totals.network)")
    let times = sum.times.sorted()
    if let last = times.last {
      print("all well after the heal: median \(times[times.count / 2] / 1_000_000) ms, worst \(last / 1_000_000) ms")
    }
    var missing = sum.totals.missing(joint: !options.isMembershipOnly)
    if !options.isMembershipOnly {
      print(sum.totals.averages(over: sum.ran))
      missing += sum.totals.tooFew(over: sum.ran)
    }
    let isComplete = sum.ran < Self.completeRun || missing.isEmpty
    if !isComplete { print("never happened: \(missing.joined(separator: "; "))") }
    print("\((Double(sum.ran) / seconds * 10).rounded() / 10) seeds per second, \(options.jobs) at a time")
    print("\(sum.ran - sum.failed) passed, \(sum.failed) failed")
    return sum.failed == 0 && isComplete && sum.ran > 0
  }

  /// Each bug on its own, seeds in order, until a checker names it.
  private func convict() async -> Bool {
    var rest = options.bugs[...]
    var missed = 0
    let (from, given) = (options.from, options.seedsGiven)
    await withTaskGroup(of: (PlantedBug, String?).self) { group in
      func start() {
        guard let bug = rest.popFirst() else { return }
        group.addTask { (bug, bug.conviction(from: from, seeds: given ?? bug.seeds)) }
      }
      for _ in 0..<options.jobs { start() }
      for await (bug, conviction) in group {
        if conviction == nil { missed += 1 }
        print("\(bug.name): \(conviction ?? "not found in \(given ?? bug.seeds) seeds")")
        start()
      }
    }
    print("\(options.bugs.count - missed) convicted, \(missed) not found")
    return missed == 0
  }
}
