// Random work on the forgetful disk against a model that keeps every version of every sector: what comes up after a
// crash was there at some moment since the last sync, sector by sector, and is exact where it was synced.

import Base
import Disk
import Simulator
import Testing

private struct SectorModel {
  static let sector = 512
  var bytes: [UInt8] = []
  var lengths: Set<Int> = [0]
  // Versions since the last sync of sectors that changed; the first is the synced one.
  var versions: [Int: Set<[UInt8]>] = [:]
  var synced: [UInt8] = []

  func sector(_ n: Int, of image: [UInt8]) -> [UInt8] {
    let start = min(n * Self.sector, image.count)
    let part = Array(image[start..<min(start + Self.sector, image.count)])
    return part + [UInt8](repeating: 0, count: Self.sector - part.count)
  }

  mutating func write(_ part: [UInt8], at offset: Int) {
    if part.isEmpty { return }
    if bytes.count < offset + part.count {
      bytes += [UInt8](repeating: 0, count: offset + part.count - bytes.count)
    }
    bytes.replaceSubrange(offset..<(offset + part.count), with: part)
    note(offset / Self.sector...(offset + part.count - 1) / Self.sector)
  }

  mutating func truncate(to length: Int) {
    let old = bytes.count
    bytes = Array(bytes.prefix(length)) + [UInt8](repeating: 0, count: max(0, length - old))
    lengths.insert(length)
    guard length < 40_000 else { return }
    // A cut that was kept cuts whichever version of the sector is there.
    for n in length / Self.sector...80 {
      let keep = max(0, length - n * Self.sector)
      let before = versions[n] ?? [sector(n, of: synced)]
      let zeros = [UInt8](repeating: 0, count: 512 - min(512, keep))
      versions[n] = before.union(before.map { $0.prefix(keep) + zeros })
    }
  }

  private mutating func note(_ range: ClosedRange<Int>) {
    lengths.insert(bytes.count)
    for n in range { versions[n] = (versions[n] ?? [sector(n, of: synced)]).union([sector(n, of: bytes)]) }
  }

  mutating func sync() {
    synced = bytes
    lengths = [bytes.count]
    versions = [:]
  }

  func explains(_ found: [UInt8]) -> Bool {
    guard lengths.contains(found.count) else { return false }
    for n in 0..<((found.count + 511) / 512) {
      let here = Array(found[(n * 512)..<min(n * 512 + 512, found.count)])
      let candidates = versions[n] ?? [sector(n, of: synced)]
      if !candidates.contains(where: { $0.starts(with: here) }) { return false }
    }
    return true
  }
}

struct CrashModelTests {
  @Test("400 histories with crashes in them come up as one of the moments that the model knows")
  func explained() throws {
    var counts = FaultCounts()
    for seed in 0..<400 as Range<UInt64> {
      var generator = SeededGenerator(seed: seed)
      var disk = ForgetfulDisk(seed: seed)
      var file = try disk.open("/f", .create)
      try disk.syncDirectory("/")
      var model = SectorModel()
      for _ in 0..<3 {
        for _ in 0..<(1 + generator.below(12)) {
          switch generator.below(8) {
          case 0:
            try file.sync()
            model.sync()
          case 1:
            let length = generator.below(20_000)
            try file.truncate(to: UInt64(length))
            model.truncate(to: length)
          default:
            let part = [UInt8](repeating: UInt8(generator.below(256)), count: generator.below(7000))
            let offset = generator.below(12_000)
            try file.write(part, at: UInt64(offset))
            model.write(part, at: offset)
          }
        }
        #expect(try file.read(40_000, at: 0) == model.bytes)
        disk = disk.crash()
        file = try disk.open("/f", .readWrite)
        let found = try file.read(40_000, at: 0)
        #expect(model.explains(found), "seed \(seed)")
        model.bytes = found
        model.sync()
      }
      counts = counts + disk.counts
    }
    #expect(counts.tornWrites > 100 && counts.reorderedWrites > 100 && counts.forgottenLengths > 50, "\(counts)")
  }

  private typealias Replace = (any Disk, String, [UInt8]) throws -> Void

  /// Replaces a file five times, with a crash at every operation; gives how many outcomes were neither the last
  /// acknowledged content nor the one being written.
  private func wrongOutcomes(_ replace: Replace) throws -> (wrong: Int, crashes: Int) {
    var (wrong, crashes) = (0, 0)
    for moment in DiskFault.Moment.allCases {
      for n in 1... {
        let plan = FaultPlan(.stop(moment), at: n, of: Set(DiskOperation.Kind.allCases.filter(\.changes)))
        let disk = ForgetfulDisk(seed: UInt64(n))
        try disk.makeDurableDirectory("/d")
        try disk.replaceFile("/d/state", [UInt8](repeating: 0, count: 2000))
        disk.onOperation(plan.decide)
        var version: UInt8 = 0
        do {
          while version < 5 {
            try replace(disk, "/d/state", [UInt8](repeating: version + 1, count: 2000))
            version += 1
          }
        } catch {}
        for _ in 0..<8 {
          crashes += 1
          let found = try? disk.crash().readAll("/d/state", limit: 9000)
          let right = [version, version + 1].contains { found == [UInt8](repeating: $0, count: 2000) }
          if !right { wrong += 1 }
        }
        if !plan.fired { break }
      }
    }
    return (wrong, crashes)
  }

  @Test("replaceFile leaves the old content or the new at every crash")
  func replaceFile() throws {
    let result = try wrongOutcomes { try $0.replaceFile($1, $2) }
    #expect(result.wrong == 0 && result.crashes > 300)
  }

  @Test("a replacement without the file's sync, without the directory's, or in place is convicted")
  func convicts() throws {
    let noSync = try wrongOutcomes { disk, path, bytes in
      let file = try disk.open(path + ".new", .createOrOpen)
      try file.truncate(to: 0)
      try file.write(bytes, at: 0)
      try disk.rename(path + ".new", to: path)
      try disk.syncDirectory("/d")
    }
    #expect(noSync.wrong > 5)
    let noDirectorySync = try wrongOutcomes { disk, path, bytes in
      let file = try disk.open(path + ".new", .createOrOpen)
      try file.truncate(to: 0)
      try file.write(bytes, at: 0)
      try file.sync()
      try disk.rename(path + ".new", to: path)
    }
    #expect(noDirectorySync.wrong > 5)
    let inPlace = try wrongOutcomes { disk, path, bytes in
      let file = try disk.open(path, .readWrite)
      try file.write(bytes, at: 0)
      try file.sync()
    }
    #expect(inPlace.wrong > 5)
  }
}
