import AtRest
import Backup
import Base
import Disk
import Formats
import ShardStore
import Simulator
import Testing

@Suite struct MomentVerifyTests {
  /// Two snapshots and runs before, between and behind them; the node is gone.
  private func prepared() async throws -> (ForgetfulDisk, MomentWorld) {
    let disk = ForgetfulDisk(seed: 8)
    let world = try await MomentWorld(seed: 8, disk: disk)
    for part in 0..<4 {
      world.clock.advance(microseconds: 10_000_000)
      try await world.writeCalls(2)
      world.clock.advance(microseconds: 10_000_000)
      try await world.upload()
      if part == 3 { try await world.writeCalls(1) }
      if part % 2 == 0 {
        try await world.snapshot()
      } else {
        try await world.archive.archiveLog(of: world.store.engine)
      }
    }
    world.clock.advance(microseconds: 10_000_000)
    try await world.snapshot()
    world.store.engine.close()
    return (disk, world)
  }

  private func report(_ disk: any Disk, keys: Bool = true) throws -> VerifyReport {
    try Verify.run("/archive", disk: disk, keys: keys ? .keyEncryption(TestKeyEncryption()) : .none)
  }

  @Test("a whole archive says from when to when, with keys and without")
  func whole() async throws {
    let (disk, world) = try await prepared()
    for keys in [true, false] {
      let report = try report(disk, keys: keys)
      #expect(report.findings.isEmpty, "\(report.findings)")
      let spans = try #require(report.restorable.first?.spans)
      #expect(spans.count == 1 && spans[0].from == world.snapshots[0].time)
      #expect(spans[0].through >= world.commits.last!.time)
    }
  }

  /// The files of the archive, and what happens to each.
  @Test("each file removed, truncated or flipped is named, with the moments that it costs")
  func everyFile() async throws {
    let (disk, world) = try await prepared()
    let directory = world.archive.layout.directory
    var costs: [String: [String]] = [:]
    var outputs = 0
    for path in try files(disk, directory) {
      let bytes = try disk.readAll(path, limit: 1 << 24)
      for (what, damaged) in [
        ("removed", nil), ("truncated", Array(bytes.dropLast(7))), ("flipped", bytes.flipped(8 * 70)),
      ] {
        if let damaged { try disk.replaceFile(path, damaged) } else { try disk.remove(path) }
        let report = try report(disk)
        let isPack = path.hasSuffix(".kpak")
        let named = report.findings.filter { $0.path == path || (isPack && $0.path.hasPrefix("\(directory)/packs")) }
        #expect(!named.isEmpty, "\(path) \(what): \(report.findings)")
        let says = named.contains { $0.message.contains("moment") }
        #expect(says, "\(path) \(what): \(named)")
        costs[kind(path), default: []] += named.map { "\(what): \($0.message)" }
        // What it says is left does come back.
        try check(report, world, disk, &outputs)
        try disk.replaceFile(path, bytes)
      }
    }
    #expect(Set(costs.keys) == ["keyring", "klrg", "kman", "kpak", "proof"])
    #expect(costs["klrg"]!.contains { $0.contains("it costs the moments from") })
    #expect(costs["keyring"]!.allSatisfy { $0.contains("it costs the moments from") })
    #expect(costs["kman"]!.contains { $0.contains("it costs the moments from") })
    #expect(costs["kman"]!.contains { $0.contains("it costs no moment") })
    #expect(outputs > 100)
    #expect(try report(disk).findings.isEmpty)
  }

  private func check(_ report: VerifyReport, _ world: MomentWorld, _ disk: any Disk, _ outputs: inout Int) throws {
    let spans = report.restorable.first?.spans ?? []
    let recovery = RecoveryFile(account: MomentWorld.account, accountKey: world.accountKey, at: 1)
    for commit in world.commits where commit.time >= world.snapshots[0].time {
      let isPromised = spans.contains { ($0.from...$0.through).contains(commit.time) }
      guard isPromised else { continue }
      outputs += 1
      let offline = try OfflineRestore(disk: disk, archive: "/archive", recovery: recovery, at: commit.time)
      #expect(offline.plan.moment?.isClamped == false)
      let report = try offline.run(out: "/out\(outputs)")
      #expect(report.plan.recordings == commit.content.recordings.count)
    }
  }

  private func kind(_ path: String) -> String {
    path.hasSuffix("/keyring") ? "keyring" : String(path.split(separator: ".").last ?? "")
  }

  private func files(_ disk: any Disk, _ directory: String) throws -> [String] {
    try disk.list(directory).flatMap { name -> [String] in
      let path = "\(directory)/\(name)"
      return try disk.info(path)!.isDirectory ? files(disk, path) : [path]
    }
  }

  @Test("every byte of an archived run flipped in turn is found without keys, with file and offset")
  func everyByte() async throws {
    let (disk, world) = try await prepared()
    var checked = 0
    for name in try disk.list(world.archive.layout.log) {
      let path = "\(world.archive.layout.log)/\(name)"
      let size = Int(try disk.info(path)!.bytes)
      for offset in 0..<size where offset < 700 || offset % 29 == 0 {
        try disk.flip(path, offset, bit: offset % 8)
        let report = try Verify.run(path, disk: disk)
        #expect(report.findings.contains { $0.path == path && $0.offset <= UInt64(offset) }, "\(path) at \(offset)")
        try disk.flip(path, offset, bit: offset % 8)
        checked += 1
      }
      #expect(try Verify.run(path, disk: disk).findings.isEmpty)
    }
    #expect(checked > 2000)
  }
}
