// One run over a range of seeds, and what it prints.

import ShardStore
import StoreSim

struct SeedRun {
  let options: Options
  /// From here on a run must have met every class of fault.
  private static let completeRun = 500

  init(_ options: Options) { self.options = options }

  /// True when the run is as it must be.
  func run() -> Bool {
    var totals = Totals()
    var failed = 0
    var ran = 0
    for seed in options.from..<(options.from + options.seeds) {
      let outcome = run(seed: UInt64(seed))
      totals.add(outcome.totals)
      ran += 1
      if options.isVerbose { print("seed \(seed)\n" + outcome.trace.joined(separator: "\n")) }
      guard let violation = outcome.violation else { continue }
      failed += 1
      print("seed \(seed) failed: \(violation)")
      if !options.isVerbose, options.bug == nil { print(outcome.trace.suffix(40).joined(separator: "\n")) }
      if options.bug != nil { break }
    }
    return finish(totals, ran: ran, failed: failed)
  }

  private func run(seed: UInt64) -> (violation: Violation?, trace: [String], totals: Totals) {
    if options.isReplicated {
      let world = ReplicaSimulation.run(seed: seed, bugs: options.bug?.bug ?? [])
      return (world.violation, world.trace, world.totals)
    }
    let outcome = StoreSimulation.run(seed: seed, bugs: options.bug?.bug ?? [])
    return (outcome.violation, outcome.trace, outcome.totals)
  }

  private func finish(_ totals: Totals, ran: Int, failed: Int) -> Bool {
    if let bug = options.bug {
      print(failed > 0 ? "\(bug.name): convicted after \(ran) seeds" : "\(bug.name): not found in \(ran) seeds")
      return failed > 0
    }
    print(totals.listing.joined(separator: "\n"))
    print("disk: \(totals.disk)")
    var isComplete = true
    if ran >= Self.completeRun, !options.isReplicated, !totals.missing.isEmpty {
      isComplete = false
      print("never happened: \(totals.missing.joined(separator: "; "))")
    }
    print("\(ran - failed) passed, \(failed) failed")
    return failed == 0 && isComplete && ran > 0
  }
}
