import AtRest
import Backup
import Base
import Disk
import ShardStore
import Simulator
import Testing

/// Restores to moments that are killed and go on, also in the middle of the log's records.
@Suite struct MomentResumeTests {
  private static let copy = AccountID(bits: 0xB)

  private func restore(_ disk: ForgetfulDisk, _ clock: MovingClock, at moment: UnixMicroseconds, _ plan: FaultPlan?)
    async throws -> (content: AccountContent, isResumed: Bool)
  {
    let store = try MomentWorld.open(disk, clock)
    defer { store.engine.close() }
    var request = MomentRequest(at: moment, as: Self.copy, unlockedBy: .keyEncryption(store.kek))
    request.control.groupBytes = 128 << 10
    request.control.interval = .seconds(3600)
    disk.onOperation(plan?.decide)
    defer { disk.onOperation(nil) }
    let report = try await MomentWorld.archive(disk, clock).restore(request, into: store.engine)
    return (try await store.content(Self.copy), report.isResumed)
  }

  @Test("killed at each few operations, in pages, records and recordings, a moment's restore goes on and is right")
  func kills() async throws {
    let disk = ForgetfulDisk(seed: 21)
    let world = try await MomentWorld(seed: 21, disk: disk)
    for _ in 0..<3 { try await world.writeCalls(40) }
    try await world.upload()
    try await world.snapshot()
    for _ in 0..<6 {
      world.clock.advance(microseconds: 5_000_000)
      try await world.writeCalls(30)
      try await world.upload()
    }
    try await world.archive.archiveLog(of: world.store.engine)
    let commit = world.commits[world.commits.count - 2]
    world.store.engine.close()
    disk.stop()
    var (nth, resumed) = (1, 0)
    while true {
      let one = disk.crash()
      let plan = FaultPlan(
        .stop(.allCases[nth % 3]), at: nth, of: [.write, .sync, .rename, .syncDirectory],
        matches: { $0.contains(".restore-") || $0.contains("\(Self.copy)") })
      _ = try? await restore(one, world.clock, at: commit.time, plan)
      guard plan.fired else { break }
      let two = one.crash()
      do {
        let again = try await restore(two, world.clock, at: commit.time, nil)
        #expect(again.content == commit.content, "killed at \(nth)")
        if again.isResumed { resumed += 1 }
      } catch let error as BackupError where error.code == .exists {
        let store = try MomentWorld.open(two, world.clock)
        #expect(try await store.content(Self.copy) == commit.content, "killed behind everything, at \(nth)")
        store.engine.close()
      }
      nth += 3
    }
    #expect(nth > 60 && resumed > 15, "\(nth) places, \(resumed) resumed")
  }
}
