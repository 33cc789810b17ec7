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

  @Test("no checker finds anything in twenty seeds of replicas on three disks", arguments: [1, 11])
  func replicaSeedsPass(from first: UInt64) {
    for seed in first..<(first + 10) {
      let world = ReplicaSimulation.run(seed: seed)
      #expect(world.violation == nil, "seed \(seed)")
    }
  }

  /// Seeds that were red once: after a restart, records of an older epoch behind a cut were taken for older than the tail
  /// that they had replaced. In 2 the account did not open, in 6 synced records were gone.
  @Test("a seed of replicas that was red stays green", arguments: [2, 6])
  func redReplicaSeedPasses(seed: UInt64) {
    #expect(ReplicaSimulation.run(seed: seed).violation == nil)
  }

  @Test("a planted bug of a replica's store is convicted", arguments: ReplicaSimulation.bugs.map(\.name))
  func replicaBugIsConvicted(name: String) {
    let bug = ReplicaSimulation.bugs.first { $0.name == name }!.bug
    let seed = (1...100).first { ReplicaSimulation.run(seed: UInt64($0), bugs: bug).violation != nil }
    #expect(seed != nil, "100 seeds did not find \(name)")
  }

  @Test("a planted bug is convicted", arguments: StoreSimulation.bugs.map(\.name))
  func bugIsConvicted(name: String) {
    let bug = StoreSimulation.bugs.first { $0.name == name }!.bug
    let seed = (1...200).first { StoreSimulation.run(seed: UInt64($0), bugs: bug).violation != nil }
    #expect(seed != nil, "200 seeds did not find \(name)")
  }
}
