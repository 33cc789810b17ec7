// A few dozen seeds of the store's simulation, and the eight planted bugs that its checkers must find. The long run is
// `komora-sim`.

import ShardStore
import StoreSim
import Testing

@Suite struct SeedTests {
  @Test("no checker finds anything in forty seeds", arguments: [1, 11, 21, 31])
  func seedsPass(from first: UInt64) {
    for seed in first..<(first + 10) {
      let outcome = StoreSimulation.run(seed: seed)
      #expect(outcome.violation == nil, "seed \(seed)")
    }
  }

  /// Seeds that were red once. 3730: the sync of a redo slot met a full disk, the slot reached the disk all the same, and
  /// the checkpoint began again with the pages that it already named.
  @Test("a seed that was red stays green", arguments: [3730])
  func redSeedPasses(seed: UInt64) {
    #expect(StoreSimulation.run(seed: seed).violation == nil)
  }

  @Test("a planted bug is convicted", arguments: StoreSimulation.bugs.map(\.name))
  func bugIsConvicted(name: String) {
    let bug = StoreSimulation.bugs.first { $0.name == name }!.bug
    let seed = (1...200).first { StoreSimulation.run(seed: UInt64($0), bugs: bug).violation != nil }
    #expect(seed != nil, "200 seeds did not find \(name)")
  }
}
