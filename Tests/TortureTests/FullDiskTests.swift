// A disk that fills up: refusals that say so, reads that go on, nothing acknowledged lost, and writes again when there
// is room. On a small tmpfs where the tests may mount one, else on a disk in memory with a capacity.

import Base
import Disk
import SQLite
import ShardStore
import Simulator
import Testing
import Torture

@Suite struct FullDiskTests {
  @Test("a full disk refuses writes clearly, serves reads, and takes writes again when there is room")
  func fullDisk() throws {
    guard let volume = SmallVolume(mebibytes: 3) else { return try inMemory() }
    defer { withExtendedLifetime(volume) {} }
    try story(volume.path, disk: RealDisk(), free: { volume.removeBallast() })
  }

  @Test("the same in memory")
  func inMemory() throws {
    let disk = ForgetfulDisk(seed: 11, capacityBytes: 2 << 20)
    try story("/data", disk: disk, free: { disk.capacityBytes = 64 << 20 })
  }

  private func story(_ path: String, disk: any Disk, free: () -> Void) throws {
    let bench = try Bench(path, disk: disk)
    for account in 1...2 {
      try bench.create(account)
      _ = try bench.write(account, tx: 1).get()
    }
    try bench.record(1, number: 1, bytes: 20_000)
    var acknowledged: Set<Int> = [1]
    var denied: Set<Int> = []
    var refusals = 0
    for tx in 2..<2_000 where refusals < 12 {
      switch bench.write(1, tx: tx, bytes: 20_000) {
      case .success: acknowledged.insert(tx)
      case .failure(let error):
        refusals += 1
        #expect([.notApplied, .diskFull, .busy].contains(error.code), "\(error.code): \(error)")
        if error.code == .notApplied || error.code == .busy { denied.insert(tx) }
      }
      _ = bench.checkpointAndSplit()
    }
    #expect(refusals == 12, "the disk fills up")
    #expect(acknowledged.count > 3)
    // Reads go on, of rows and of recordings.
    #expect(try bench.transactions(1) == acknowledged)
    #expect(try bench.recording(1, number: 1).count == 20_000)
    #expect(throws: (any Error).self) { try bench.record(1, number: 2, bytes: 6 << 20) }
    free()
    _ = bench.checkpointAndSplit()
    let recovered = (0..<6).contains { attempt in
      let tx = 5_000 + attempt
      if case .success = bench.write(1, tx: tx) { return acknowledged.insert(tx).inserted }
      _ = bench.checkpointAndSplit()
      return false
    }
    #expect(recovered, "with room again writes go on")
    _ = try bench.write(2, tx: 2).get()
    bench.abandon()
    let again = try Bench(path, disk: disk)
    let found = try again.transactions(1)
    #expect(found.isSuperset(of: acknowledged))
    #expect(found.isDisjoint(with: denied))
    #expect(try again.recording(1, number: 1).count == 20_000)
    #expect(try again.findings().isEmpty)
  }
}
