// Full disks, failing operations, flipped bits, and stops at the n-th operation.

import Base
import Disk
import Simulator
import Testing
import Threads

struct FaultTests {
  @Test("a full disk takes what fits, says full, and room comes back with removals")
  func full() throws {
    let disk = ForgetfulDisk(seed: 1, capacityBytes: 64 << 10)
    let a = try disk.open("/a", .create)
    try a.write([UInt8](repeating: 1, count: 40 << 10), at: 0)
    let b = try disk.open("/b", .create)
    do {
      try b.write([UInt8](repeating: 2, count: 40 << 10), at: 0)
      Issue.record("it fitted")
    } catch {
      #expect(error.code == .full)
    }
    #expect(try b.size() == 24 << 10)
    #expect(try disk.freeBytes("/") == 0)
    try a.write([UInt8](repeating: 3, count: 40 << 10), at: 0)
    try disk.remove("/b")
    #expect(try disk.freeBytes("/") == 0)
    #expect(try b.size() == 24 << 10)
    #expect(disk.counts.fullWrites == 1)
  }

  @Test("room of a removed file comes back when its last reader is gone")
  func room() throws {
    let disk = ForgetfulDisk(seed: 1, capacityBytes: 64 << 10)
    do {
      let a = try disk.open("/a", .create)
      try a.write([1], at: 0)
    }
    #expect(try disk.freeBytes("/") == 60 << 10)
    try disk.remove("/a")
    #expect(try disk.freeBytes("/") == 64 << 10)
  }

  @Test("the n-th operations of a kind fail for as often as asked, others do not")
  func rules() throws {
    let disk = ForgetfulDisk(seed: 1)
    let log = try disk.open("/x.log", .create)
    let other = try disk.open("/x.db", .create)
    disk.fail(.write, nth: 2, times: 2, .full) { $0.hasSuffix(".log") }
    var failed: [Int] = []
    for i in 1...5 {
      try other.write([1], at: 0)
      do throws(DiskError) { try log.write([1], at: UInt64(i)) } catch {
        #expect(error.code == .full)
        failed.append(i)
      }
    }
    #expect(failed == [2, 3])
    #expect(disk.counts.failedWrites == 2)
    disk.fail(.rename, times: .max)
    #expect(throws: DiskError.self) { try disk.rename("/x.log", to: "/y.log") }
    disk.heal()
    try disk.rename("/x.log", to: "/y.log")
  }

  @Test("half of a failing write may be there")
  func half() throws {
    let disk = ForgetfulDisk(seed: 1)
    let file = try disk.open("/f", .create)
    disk.onOperation { $0.kind == .write ? .failHalf(.io) : .proceed }
    #expect(throws: DiskError.self) { try file.write([1, 2, 3, 4], at: 0) }
    #expect(try file.read(9, at: 0) == [1, 2])
  }

  @Test("a flipped bit is read and stays")
  func flips() throws {
    let disk = ForgetfulDisk(seed: 1)
    let file = try disk.open("/f", .create)
    try file.write([UInt8](repeating: 0, count: 600), at: 0)
    try file.sync()
    try disk.syncDirectory("/")
    try disk.flip("/f", 513, bit: 7)
    #expect(try file.read(1, at: 513) == [128])
    #expect(try disk.crash().open("/f", .read).read(1, at: 513) == [128])
    #expect(disk.counts.flips == 1)
  }

  @Test("flips at a crash touch only what was not synced")
  func crashFlips() throws {
    var flipped = 0
    for seed in 0..<50 as Range<UInt64> {
      let disk = ForgetfulDisk(seed: seed)
      disk.flipsPerCrash = 1
      let file = try disk.open("/f", .create)
      try file.write([UInt8](repeating: 0, count: 2048), at: 0)
      try file.sync()
      try disk.syncDirectory("/")
      try file.write([UInt8](repeating: 0, count: 512), at: 512)
      let bytes = try disk.crash().readAll("/f", limit: 9000)
      #expect(Set(bytes[..<512]) == [0] && Set(bytes[1024...]) == [0])
      if Set(bytes[512..<1024]) != [0] { flipped += 1 }
    }
    #expect(flipped == 50)
  }

  @Test("a plan visits every operation once, before, in the middle and after", arguments: DiskFault.Moment.allCases)
  func enumerates(moment: DiskFault.Moment) throws {
    func story(_ disk: any Disk) throws {
      let file = try disk.open("/a.log", .create)
      try file.write([1, 2, 3, 4], at: 0)
      try file.sync()
      try disk.rename("/a.log", to: "/b.log")
      try disk.syncDirectory("/")
    }
    let counting = FaultPlan.counting()
    try story(FaultyDisk(ForgetfulDisk(seed: 1), counting))
    #expect(counting.listing == ["create log: 1", "rename log: 1", "sync log: 1", "syncDirectory : 1", "write log: 1"])
    var n = 0
    var stopped = 0
    while true {
      n += 1
      let plan = FaultPlan(.stop(moment), at: n, of: [.create, .write, .sync, .rename, .syncDirectory])
      let disk = ForgetfulDisk(seed: UInt64(n))
      disk.onOperation(plan.decide)
      do { try story(disk) } catch { stopped += 1 }
      #expect(disk.isDead == plan.fired)
      if !plan.fired { break }
    }
    #expect(n == 6 && stopped == 5)
  }

  @Test("a faulty disk calls its end at the middle of a write with half of it done")
  func faulty() throws {
    let inner = ForgetfulDisk(seed: 1)
    let ended = Ended()
    let plan = FaultPlan(.stop(.middle), at: 2, of: [.write])
    let disk = FaultyDisk(inner, plan, onStop: { ended.times.with { $0 += 1 } })
    let file = try disk.open("/f", .create)
    try file.write([1, 2], at: 0)
    // A write tears between sectors: of four, two are there.
    #expect(throws: DiskError.self) { try file.write([UInt8](repeating: 3, count: 2048), at: 512) }
    #expect(ended.times.with { $0 } == 1)
    let written = try inner.readAll("/f", limit: 4096)
    #expect(written.count == 512 + 1024)
    #expect(written[..<2] == [1, 2] && written[512...].allSatisfy { $0 == 3 })
    try file.write([5], at: 8)
    #expect(try inner.readAll("/f", limit: 4096)[8] == 5)
    #expect(plan.matching == 3)
  }
}
