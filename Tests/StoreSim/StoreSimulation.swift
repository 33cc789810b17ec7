// Runs seeds: one world each.

package import ShardStore

package enum StoreSimulation {
  package struct Outcome: Sendable {
    package var seed: UInt64
    package var violation: Violation?
    package var trace: [String]
    package var totals: Totals
  }

  package static func run(seed: UInt64, bugs: PlantedBugs = []) -> Outcome {
    let world = StoreWorld(seed: seed, bugs: bugs)
    world.run()
    return Outcome(seed: seed, violation: world.violation, trace: world.trace, totals: world.totals)
  }

  /// The errors that the engine can be told to make, by name.
  package static let bugs: [(name: String, bug: PlantedBugs)] = [
    ("acknowledge-before-sync", .acknowledgeBeforeSync), ("publish-before-install", .publishBeforeInstall),
    ("mark-not-awaited", .markNotAwaited), ("difference-after-mark", .differenceAfterMark),
    ("index-used-twice", .indexUsedTwice), ("recycled-block-taken", .recycledBlockTaken),
    ("log-cut-before-segment-sync", .logCutBeforeSegmentSync), ("connection-kept-after-drop", .connectionKeptAfterDrop),
  ]
}
