// One run over a range of seeds, and what it prints.

import ClusterSim

struct SeedRun {
  let options: Options
  /// From here on a run must have met every class of fault.
  private static let completeRun = 200

  init(_ options: Options) { self.options = options }

  /// True when the run is as it must be.
  func run() -> Bool {
    if let what = options.measures { return Measurements.print(what) }
    var totals = ClusterTotals()
    var (ran, failed) = (0, 0)
    var convergences: [Int64] = []
    for seed in options.from..<(options.from + options.seeds) {
      // Printed before the run, so that a trap leaves it behind.
      let plan = ClusterSimulation.plan(seed: UInt64(seed))
      print("seed \(seed) " + (options.isVerbose ? plan.joined(separator: "\n") : plan[0]))
      let outcome = ClusterSimulation.run(
        seed: UInt64(seed), bugs: options.bug?.bug ?? [], isTraced: options.isVerbose)
      totals.add(outcome.totals)
      ran += 1
      if options.isVerbose { print(outcome.trace.joined(separator: "\n")) }
      print("seed \(seed): \(outcome.totals.faults) faults took effect")
      if outcome.violation == nil, outcome.totals.faults > 0 {
        if let convergence = outcome.convergence { convergences.append(convergence) }
        continue
      }
      failed += 1
      print("seed \(seed) failed: \(outcome.violation.map { "\($0)" } ?? "no fault took effect")")
      if options.bug != nil { break }
    }
    return finish(totals, convergences.sorted(), ran: ran, failed: failed)
  }

  private func finish(_ totals: ClusterTotals, _ convergences: [Int64], ran: Int, failed: Int) -> Bool {
    if let bug = options.bug {
      print(failed > 0 ? "\(bug.name): convicted after \(ran) seeds" : "\(bug.name): not found in \(ran) seeds")
      return failed > 0
    }
    print(totals.listing.joined(separator: "\n"))
    print("network: \(totals.network)")
    if let last = convergences.last {
      let half = convergences[convergences.count / 2]
      print("views right after the heal: median \(half / 1_000_000) ms, worst \(last / 1_000_000) ms")
    }
    var isComplete = true
    if ran >= Self.completeRun, !totals.missing.isEmpty {
      isComplete = false
      print("never happened: \(totals.missing.joined(separator: "; "))")
    }
    print("\(ran - failed) passed, \(failed) failed")
    return failed == 0 && isComplete && ran > 0
  }
}
