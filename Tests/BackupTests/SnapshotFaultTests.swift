import Backup
import Base
import Disk
import Formats
import Simulator
import Testing

/// Faults at every single place of a snapshot: what was stored before stays whole, what is listed is whole.
@Suite struct SnapshotFaultTests {
  private static let changing: Set<DiskOperation.Kind> = [
    .write, .sync, .truncate, .create, .makeDirectory, .rename, .remove, .syncDirectory,
  ]

  /// Two snapshots, the second with changes; gives what each must restore to.
  private func story(_ disk: any Disk, _ first: FakeAccount, _ second: FakeAccount) async throws {
    let archive = FakeArchive(disk, first)
    try await archive.snapshot(id: 1, at: 1_000_000)
    try await archive.snapshot(second, id: 2, at: 2_000_000)
  }

  private func accounts() throws -> (FakeAccount, FakeAccount) {
    let first = try FakeAccount.filled(rows: 150, recordings: 2)
    var second = first
    second.touch(page: 3)
    var random = SeededGenerator(seed: 5)
    second.addRecording(using: &random)
    return (first, second)
  }

  /// Whatever a list shows is whole, a snapshot that was acknowledged is there, and the next one works.
  private func check(_ disk: any Disk, _ first: FakeAccount, _ second: FakeAccount, acknowledged: Int) async throws {
    let archive = FakeArchive(disk, first)
    let listed = try archive.store.list()
    #expect(listed.damaged.isEmpty)
    #expect(listed.snapshots.count >= acknowledged)
    for info in listed.snapshots {
      let manifest = try archive.store.read(info.path, keys: first.keys)
      try archive.expect(manifest, is: info.id.bits == 1 ? first : second)
    }
    let manifest = try await archive.snapshot(second, id: 3, at: 3_000_000).manifest
    try archive.expect(manifest, is: second)
    let leftovers = try archive.files(first.layout.packs).filter { $0.hasSuffix(".new") }
    #expect(leftovers.isEmpty)
  }

  private func operations() async throws -> Int {
    let disk = ForgetfulDisk(seed: 1)
    let (first, second) = try accounts()
    try await story(disk, first, second)
    return disk.operations
  }

  @Test("a crash at each operation of a snapshot loses no earlier one and shows none that is not whole")
  func crashes() async throws {
    let (first, second) = try accounts()
    let count = try await operations()
    #expect(count > 20)
    for n in 1...count {
      for moment in DiskFault.Moment.allCases {
        let disk = ForgetfulDisk(seed: UInt64(n))
        let plan = FaultPlan(.stop(moment), at: n, of: Self.changing)
        disk.onOperation(plan.decide)
        let archive = FakeArchive(disk, first)
        var acknowledged = 0
        do {
          try await archive.snapshot(id: 1, at: 1_000_000)
          acknowledged = 1
          try await archive.snapshot(second, id: 2, at: 2_000_000)
          acknowledged = 2
        } catch {}
        #expect(plan.fired)
        try await check(disk.crash(), first, second, acknowledged: acknowledged)
      }
    }
  }

  @Test("a failure of each operation of a snapshot is reported and harms nothing")
  func failures() async throws {
    let (first, second) = try accounts()
    let count = try await operations()
    for n in 1...count {
      for fault in [DiskFault.fail(.io), .failHalf(.full)] {
        let disk = ForgetfulDisk(seed: UInt64(n))
        let plan = FaultPlan(fault, at: n, of: Self.changing)
        disk.onOperation(plan.decide)
        let archive = FakeArchive(disk, first)
        var acknowledged = 0
        do {
          try await archive.snapshot(id: 1, at: 1_000_000)
          acknowledged += 1
        } catch { #expect(error is BackupError, "\(error)") }
        do {
          try await archive.snapshot(second, id: 2, at: 2_000_000)
          acknowledged += 1
        } catch { #expect(error is BackupError, "\(error)") }
        #expect(plan.fired && acknowledged >= 1)
        disk.onOperation(nil)
        try await check(disk.crash(), first, second, acknowledged: acknowledged)
      }
    }
  }
}
