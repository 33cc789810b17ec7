// What DESIGN.md §3.9 says of a failed sync: of the commit log, and of one account's file.

import Base
import Disk
import SQLite
import ShardStore
import Simulator
import Testing
import Threads
import Torture

@Suite struct FailedSyncTests {
  /// Fails syncs of the paths that `matches`, as many as were asked for.
  final class Breaker: Sendable {
    private let state = Lock((left: 0, suffix: "", part: "", failed: 0))

    func breakSyncs(_ count: Int, suffix: String, below part: String = "") {
      state.with { $0 = (count, suffix, part, $0.failed) }
    }

    var failed: Int { state.with { $0.failed } }

    func decide(_ operation: DiskOperation) -> DiskFault {
      state.with { s in
        guard operation.kind == .sync, s.left > 0, operation.path.hasSuffix(s.suffix), operation.path.contains(s.part)
        else { return .proceed }
        s.left -= 1
        s.failed += 1
        return .fail(.io)
      }
    }
  }

  @Test("after a failed sync of the log replies are unknown, and the log goes on in another file and epoch")
  func logSync() async throws {
    let directory = TortureDirectory()
    defer { withExtendedLifetime(directory) {} }
    let breaker = Breaker()
    let disk = FaultyDisk(RealDisk(), hook: breaker.decide)
    let bench = try Bench(directory.path, disk: disk)
    try bench.create(1)
    try bench.create(2)
    let before = try bench.write(1, tx: 1).get()
    let files = try bench.logFiles()
    breaker.breakSyncs(1, suffix: ".klog")
    let code = bench.write(1, tx: 2).code
    #expect(breaker.failed == 1)
    #expect(code == .unknown)
    let after = try bench.write(1, tx: 3).get()
    #expect(after.epoch > before.epoch, "every epoch of the node ended")
    let other = try bench.write(2, tx: 3).get()
    #expect(other.epoch > 1, "the other account's epoch ended too")
    #expect(try bench.logFiles() > files, "the log goes on in another file")
    #expect(try bench.transactions(1).isSuperset(of: [1, 3]))
    bench.abandon()
    let again = try Bench(directory.path, disk: RealDisk())
    #expect(try again.transactions(1).isSuperset(of: [1, 3]))
    #expect(try again.transactions(2).isSuperset(of: [3]))
  }

  @Test(
    "a failed sync of one account's segment stops that account only, and loses nothing",
    arguments: [".kseg", ".kpgs", ".krdo"])
  func accountSync(suffix: String) async throws {
    let directory = TortureDirectory()
    defer { withExtendedLifetime(directory) {} }
    let breaker = Breaker()
    let disk = FaultyDisk(RealDisk(), hook: breaker.decide)
    let bench = try Bench(directory.path, disk: disk)
    for account in 1...2 {
      try bench.create(account)
      _ = try bench.write(account, tx: 1).get()
    }
    let epoch = try bench.write(2, tx: 2).get().epoch
    breaker.breakSyncs(1, suffix: suffix, below: bench.directory(of: 1))
    let answers = bench.checkpointAndSplit()
    #expect(breaker.failed == 1)
    #expect(answers.allSatisfy { $0 == 1 }, "only the account whose file failed is named")
    let position = try bench.write(2, tx: 3).get()
    #expect(position.epoch == epoch, "the other account notices nothing")
    // The account opens again by redo when it is asked for.
    #expect(try bench.transactions(1) == [1])
    _ = try bench.write(1, tx: 4).get()
    bench.close()
    let again = try Bench(directory.path, disk: RealDisk())
    #expect(try again.transactions(1) == [1, 4])
    #expect(try again.transactions(2) == [1, 2, 3])
  }
}
