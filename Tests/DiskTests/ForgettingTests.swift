// The forgetful disk forgets what it may and nothing else.

import Base
import Disk
import Simulator
import Testing

struct ForgettingTests {
  private func started(_ seed: UInt64, _ size: Int = 8192) throws -> (ForgetfulDisk, any DiskFile) {
    let disk = ForgetfulDisk(seed: seed)
    try disk.makeDirectory("/d")
    try disk.syncDirectory("/")
    let file = try disk.open("/d/f", .create)
    try file.write([UInt8](repeating: 1, count: size), at: 0)
    try file.sync()
    try disk.syncDirectory("/d")
    return (disk, file)
  }

  @Test("what was synced, with its name, is there after every crash", arguments: 0..<200)
  func syncedStays(seed: UInt64) throws {
    let (disk, file) = try started(seed)
    try file.write([UInt8](repeating: 2, count: 3000), at: 100)
    try file.sync()
    let after = disk.crash()
    let expected =
      [UInt8](repeating: 1, count: 100) + [UInt8](repeating: 2, count: 3000) + [UInt8](repeating: 1, count: 5092)
    #expect(try after.readAll("/d/f", limit: 9000) == expected)
    #expect(try after.crash().readAll("/d/f", limit: 9000) == expected)
  }

  @Test("an unsynced write is lost, kept, torn between sectors and reordered, each in some seeds")
  func unsynced() throws {
    var counts = FaultCounts()
    for seed in 0..<300 as Range<UInt64> {
      let (disk, file) = try started(seed)
      try file.write([UInt8](repeating: 2, count: 4096), at: 0)
      try file.write([UInt8](repeating: 3, count: 4096), at: 2048)
      try file.write([UInt8](repeating: 4, count: 1000), at: 9000)
      let after = disk.crash()
      let bytes = try after.readAll("/d/f", limit: 10_000)
      for sector in 0..<16 {
        let content = Set(bytes[(sector * 512)..<(sector * 512 + 512)])
        let allowed: Set<UInt8> = sector < 4 ? [1, 2] : sector < 8 ? [1, 2, 3] : sector < 12 ? [1, 3] : [1]
        #expect(content.count == 1 && content.isSubset(of: allowed), "sector \(sector): \(content)")
      }
      #expect(bytes.count == 8192 || bytes.count == 10_000)
      counts = counts + after.counts
    }
    #expect(counts.lostWrites > 50 && counts.keptWrites > 50 && counts.tornWrites > 50, "\(counts)")
    #expect(counts.reorderedWrites > 20 && counts.forgottenLengths > 20, "\(counts)")
  }

  @Test("a name without a directory sync may be gone though its file was synced")
  func names() throws {
    var gone = 0
    for seed in 0..<100 as Range<UInt64> {
      let (disk, _) = try started(seed)
      let file = try disk.open("/d/g", .create)
      try file.write([5], at: 0)
      try file.sync()
      let after = disk.crash()
      if try after.info("/d/g") == nil { gone += 1 } else { #expect(try after.readAll("/d/g", limit: 9) == [5]) }
    }
    #expect(gone > 10 && gone < 90)
  }

  @Test("an unsynced rename has happened or not, never half; after a directory sync it has")
  func renames() throws {
    var old = 0
    for seed in 0..<200 as Range<UInt64> {
      let (disk, _) = try started(seed)
      try disk.makeDirectory("/e")
      try disk.syncDirectory("/")
      let file = try disk.open("/d/new", .create)
      try file.write([5], at: 0)
      try file.sync()
      try disk.syncDirectory("/d")
      let target = seed % 2 == 0 ? "/d/f" : "/e/f"
      try disk.rename("/d/new", to: target)
      if seed % 4 >= 2 { try disk.syncDirectory(seed % 8 >= 4 ? "/d" : parentDirectory(of: target)!) }
      let after = disk.crash()
      let isOld = try after.info("/d/new") != nil
      if seed % 4 >= 2 { #expect(!isOld) }
      if isOld { old += 1 }
      let there = try after.info(target).map { $0.bytes }
      #expect(there == (isOld ? (seed % 2 == 0 ? 8192 : nil) : 1))
    }
    #expect(old > 10 && old < 90)
  }

  @Test("a removal without a directory sync may be forgotten")
  func removals() throws {
    var back = 0
    for seed in 0..<100 as Range<UInt64> {
      let (disk, file) = try started(seed)
      try disk.remove("/d/f")
      _ = file
      if seed % 2 == 0 { try disk.syncDirectory("/d") }
      let after = disk.crash()
      if try after.info("/d/f") != nil {
        back += 1
        #expect(seed % 2 == 1)
        #expect(try after.readAll("/d/f", limit: 9000) == [UInt8](repeating: 1, count: 8192))
      }
    }
    #expect(back > 5 && back < 50)
  }

  @Test("after a failed sync the next one says ok, readers see the bytes, and a crash may lose them")
  func failedSync() throws {
    var lost = 0
    for seed in 0..<100 as Range<UInt64> {
      let (disk, file) = try started(seed)
      try file.write([UInt8](repeating: 2, count: 4096), at: 0)
      disk.fail(.sync)
      #expect(throws: DiskError.self) { try file.sync() }
      try file.write([UInt8](repeating: 3, count: 512), at: 4096)
      try file.sync()
      #expect(try file.read(1, at: 0) == [2])
      let after = disk.crash()
      let bytes = try after.readAll("/d/f", limit: 9000)
      #expect(bytes[4096] == 3)
      if Set(bytes[..<4096]) != [2] { lost += 1 }
      #expect(after.counts.failedSyncs == 1 && after.counts.droppedChanges == 1)
    }
    #expect(lost > 30)
  }

  @Test("a crash ends every file and the disk itself; the same moment can go several ways")
  func dead() throws {
    let (disk, file) = try started(3)
    try file.write([UInt8](repeating: 2, count: 8192), at: 0)
    var ways: Set<[UInt8]> = []
    for _ in 0..<20 { ways.insert(try disk.crash().readAll("/d/f", limit: 9000)) }
    #expect(ways.count > 3)
    #expect(disk.isDead)
    for body: () throws -> Void in [
      { _ = try file.read(1, at: 0) }, { try file.write([1], at: 0) }, { try file.sync() }, { _ = try file.size() },
      { try file.truncate(to: 0) }, { _ = try disk.open("/d/f", .read) }, { _ = try disk.list("/d") },
      { try disk.rename("/d/f", to: "/d/g") }, { try disk.remove("/d/f") }, { try disk.syncDirectory("/d") },
      { _ = try disk.info("/d") }, { try disk.makeDirectory("/x") }, { _ = try disk.freeBytes("/") },
    ] {
      do {
        try body()
        Issue.record("a dead disk answered")
      } catch {
        #expect((error as? DiskError)?.code == .io)
      }
    }
  }

  @Test("killed processes leave their writes in the cache, not on the disk")
  func killed() throws {
    let (disk, file) = try started(3)
    try file.write([UInt8](repeating: 2, count: 8192), at: 0)
    let next = disk.kill()
    #expect(throws: DiskError.self) { try file.sync() }
    #expect(try next.readAll("/d/f", limit: 9000) == [UInt8](repeating: 2, count: 8192))
    var ways: Set<[UInt8]> = []
    for _ in 0..<20 { ways.insert(try next.crash().readAll("/d/f", limit: 9000)) }
    #expect(ways.count > 3)
  }

  @Test("equal seeds forget alike")
  func deterministic() throws {
    func run() throws -> [[UInt8]] {
      try (0..<30 as Range<UInt64>).map { seed in
        let (disk, file) = try started(seed)
        try file.write([UInt8](repeating: 2, count: 8192), at: 100)
        return try disk.crash().readAll("/d/f", limit: 9000)
      }
    }
    #expect(try run() == run())
  }
}
