import AtRest
import Backup
import Base
import Disk
import Formats
import OpenSSL
import ShardStore
import Simulator
import Testing

/// Faults at every single place of an export: what is listed is whole, what was there before stays, the next one works.
@Suite struct ExportFaultTests {
  private static let changing: Set<DiskOperation.Kind> = [
    .write, .sync, .truncate, .create, .makeDirectory, .rename, .remove, .syncDirectory,
  ]
  private let account = AccountID(bits: 0xA)

  private func exports(_ disk: any Disk) -> AccountExports {
    AccountExports(disk: disk, layout: ArchiveLayout(root: "/archive", account: account))
  }

  private func create(_ id: UInt128, on disk: any Disk, _ store: TestStore, after: ExportID? = nil) async throws
    -> ExportInfo
  {
    var order = ExportOrder(export: ExportID(bits: id), accountName: "acme", createdAt: Int64(id) * 1_000_000)
    order.previous = after
    return try await exports(disk).create(order, of: store.engine)
  }

  /// Two exports, the second going on from the first, then the first is removed.
  private func story(_ disk: any Disk, _ store: TestStore, _ done: (Int) -> Void) async throws {
    let first = try await create(1, on: disk, store)
    done(1)
    _ = try await create(2, on: disk, store, after: first.id)
    done(2)
    _ = try await exports(disk).remove(first.id)
    done(3)
  }

  /// Whatever is listed is whole; what was acknowledged is there; leftovers go with the next export.
  private func check(_ disk: any Disk, _ store: TestStore, done: Int) async throws {
    let listed = try await exports(disk).list()
    let ids = listed.map { Int($0.id.bits) }
    #expect([[], [1], [1, 2], [2]].contains(ids), "\(ids)")
    if done == 1 { #expect(ids.contains(1)) }
    if done >= 2 { #expect(ids.contains(2)) }
    if done >= 3 { #expect(ids == [2]) }
    for info in listed {
      let directory = "/archive/\(account)/exports/\(info.id)"
      #expect(Set(try disk.list(directory)) == ["content.age", "export.json", "held.ids"])
      let report = try Verify.run(directory, disk: disk)
      #expect(report.findings.isEmpty && report.kinds["age-"] == 1, "\(report.findings)")
      #expect(SHA256.hash(try exports(disk).plain(info, store.engine)) == info.hash)
    }
    if try disk.info("/archive") != nil, done > 0 {
      #expect(try Verify.run("/archive", disk: disk).isSound)
    }
    try await exports(disk).removeUnfinished { _ in false }
    _ = try await create(3, on: disk, store)
    #expect(try disk.list("/archive/\(account)/exports").allSatisfy { !$0.hasSuffix(".new") })
  }

  private func prepared() async throws -> (TestStore, Int) {
    let store = try TestStore.open(ForgetfulDisk(seed: 1))
    try await store.makeAccount(account, rows: 20, recordings: 2)
    let disk = ForgetfulDisk(seed: 1)
    let counter = FaultPlan(.fail(.io), at: .max, of: Self.changing)
    disk.onOperation(counter.decide)
    try await story(disk, store) { _ in }
    return (store, counter.matching)
  }

  @Test("a crash at each operation of an export loses no earlier one and shows none that is not whole")
  func crashes() async throws {
    let (store, count) = try await prepared()
    defer { store.engine.close() }
    #expect(count > 40)
    for n in 1...count {
      for moment in DiskFault.Moment.allCases {
        let disk = ForgetfulDisk(seed: UInt64(n))
        let plan = FaultPlan(.stop(moment), at: n, of: Self.changing)
        disk.onOperation(plan.decide)
        var done = 0
        do { try await story(disk, store) { done = $0 } } catch {}
        #expect(plan.fired)
        try await check(disk.crash(), store, done: done)
      }
    }
  }

  @Test("a failure of each operation of an export is reported and harms nothing")
  func failures() async throws {
    let (store, count) = try await prepared()
    defer { store.engine.close() }
    for n in 1...count {
      for fault in [DiskFault.fail(.io), .failHalf(.full)] {
        let disk = ForgetfulDisk(seed: UInt64(n))
        let plan = FaultPlan(fault, at: n, of: Self.changing)
        disk.onOperation(plan.decide)
        var done = 0
        do { try await story(disk, store) { done = $0 } } catch { #expect(error is BackupError, "\(error)") }
        #expect(plan.fired)
        disk.onOperation(nil)
        try await check(disk.crash(), store, done: done)
      }
    }
  }
}
