// Random creations, renames and removals in three directories: after a crash no file has two names, none that was
// durable is missing without cause, and what was synced last is exactly there.

import Base
import Disk
import Simulator
import Testing

struct NameModelTests {
  private let directories = ["/", "/a", "/b"]

  private func names(_ disk: ForgetfulDisk) throws -> [String: UInt8] {
    var found: [String: UInt8] = [:]
    for directory in directories {
      for name in try disk.list(directory) {
        let path = directory == "/" ? "/" + name : "\(directory)/\(name)"
        guard try disk.info(path)?.isDirectory == false else { continue }
        found[path] = try disk.readAll(path, limit: 1).first
      }
    }
    return found
  }

  @Test("500 histories of names come up without a file under two names, and exact after syncs")
  func histories() throws {
    var counts = FaultCounts()
    for seed in 0..<500 as Range<UInt64> {
      var generator = SeededGenerator(seed: seed)
      let disk = ForgetfulDisk(seed: seed)
      for directory in directories.dropFirst() { try disk.makeDurableDirectory(directory) }
      var next: UInt8 = 1
      var everywhere: Set<UInt8> = []
      for _ in 0..<generator.below(25) {
        let present = try names(disk)
        let target = ["/x", "/y", "/a/x", "/a/y", "/b/x", "/b/y"].randomElement(using: &generator)!
        switch generator.below(5) {
        case 0:
          if present[target] == nil {
            let file = try disk.open(target, .create)
            try file.write([next], at: 0)
            try file.sync()
            everywhere.insert(next)
            next += 1
          }
        case 1: if present[target] != nil { try disk.remove(target) }
        case 2, 3:
          if let from = present.keys.sorted().randomElement(using: &generator) { try disk.rename(from, to: target) }
        default: try disk.syncDirectory(directories.randomElement(using: &generator)!)
        }
      }
      let all = seed % 3 == 0
      if all { for directory in directories { try disk.syncDirectory(directory) } }
      let before = try names(disk)
      let after = disk.crash()
      let found = try names(after)
      if all { #expect(found == before, "seed \(seed)") }
      #expect(Set(found.values).count == found.count, "seed \(seed): \(found)")
      #expect(Set(found.values).isSubset(of: everywhere), "seed \(seed)")
      #expect(try names(after.crash()) == found)
      counts = counts + after.counts
    }
    #expect(counts.keptNames > 100 && counts.forgottenNames > 100, "\(counts)")
  }
}
