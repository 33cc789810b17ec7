// Rounds that are broken off at each request, with and without the answer, and what lies there meanwhile.

import Base
import Disk
import OffSite
import Simulator
import Testing
import Threads

@Suite("copies") struct CopyTests {
  static let directory = "/archive/a"
  static let pool = WorkPool(name: "offsite-test", threads: 2)

  static func bytes(_ count: Int, _ seed: UInt64) -> [UInt8] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
  }

  static func write(_ disk: any Disk, _ path: String, _ bytes: [UInt8]) throws {
    let whole = "\(directory)/\(path)"
    let file = try disk.open(whole, .createOrOpen)
    try file.truncate(to: 0)
    try file.write(bytes, at: 0)
    try file.sync()
  }

  /// Two packs, one of them in four parts, a run, a keyring, a snapshot and its proof.
  static func archive() throws -> (ForgetfulDisk, [String: [UInt8]]) {
    let disk = ForgetfulDisk(seed: 1)
    let snapshot = "manifests/1700000000000000-\(String(repeating: "c", count: 32)).kman"
    let files: [String: [UInt8]] = [
      "packs/\(String(repeating: "a", count: 32)).kpak": bytes(3_500, 1),
      "packs/\(String(repeating: "b", count: 32)).kpak": bytes(700, 2), "log/0000000000000001.klrg": bytes(300, 3),
      "keyring": bytes(200, 4), snapshot: bytes(1_500, 5), snapshot + ".proof": bytes(50, 6),
    ]
    for folder in ["packs", "log", "manifests"] { try disk.makeDirectory("\(directory)/\(folder)") }
    for (path, bytes) in files { try write(disk, path, bytes) }
    try write(disk, "packs/\(String(repeating: "d", count: 32)).kpak.new", bytes(10, 7))
    return (disk, files)
  }

  static func copy(_ disk: any Disk, _ store: MemoryStore, lock: ObjectLock.Mode? = nil) -> OffSiteCopy {
    OffSiteCopy(
      disk: disk, directory: directory, store: store, prefix: "k/a/",
      options: OffSiteOptions(partBytes: 1_000, parallel: 2, lock: lock), pool: pool)
  }

  static func expected(_ files: [String: [UInt8]]) -> [String: [UInt8]] {
    Dictionary(uniqueKeysWithValues: files.map { ("k/a/\($0.key)", $0.value) })
  }

  @Test("a round copies all, a second one nothing, and no request holds more than a part")
  func whole() async throws {
    let (disk, files) = try Self.archive()
    let store = MemoryStore()
    store.state.with { $0.objects["k/b/keyring"] = [1] }
    let copy = Self.copy(disk, store)
    let first = try await copy.run(now: 0)
    #expect(first.copiedFiles == files.count)
    #expect(store.objects.filter { $0.key.hasPrefix("k/a/") } == Self.expected(files))
    #expect(store.state.with { $0.largest } <= 1_000)
    let second = try await copy.run(now: 0)
    #expect(second == OffSiteReport())
    // A keyring of the same length is another one.
    try Self.write(disk, "keyring", Self.bytes(200, 9))
    let third = try await copy.run(now: 0)
    #expect(third.copiedFiles == 1)
    #expect(store.objects["k/a/keyring"] == Self.bytes(200, 9))
  }

  @Test("a keyring that goes up in parts while it is replaced comes as one of the two, and the other one next")
  func replaced() async throws {
    let (disk, _) = try Self.archive()
    let (old, next, new) = (Self.bytes(3_300, 30), Self.bytes(3_300, 31), Self.bytes(4_700, 32))
    try Self.write(disk, "keyring", old)
    let store = MemoryStore()
    let round = Self.copy(disk, store)
    _ = try await round.run(now: 0)
    #expect(store.objects["k/a/keyring"] == old)
    #expect(try await round.run(now: 0) == OffSiteReport())
    try Self.write(disk, "keyring.new", new)
    try Self.write(disk, "keyring", next)
    store.state.with { s in
      s.onPart = { try? disk.rename("\(Self.directory)/keyring.new", to: "\(Self.directory)/keyring") }
    }
    _ = try await round.run(now: 0)
    #expect(store.objects["k/a/keyring"] == next)
    _ = try await round.run(now: 0)
    #expect(store.objects["k/a/keyring"] == new)
  }

  @Test(
    "broken off at any request, with or without its answer, nothing points to what is not there, and the next goes on")
  func brokenOff() async throws {
    let (disk, files) = try Self.archive()
    let (snapshot, all) = (try #require(files.keys.first { $0.hasSuffix(".kman") }), Self.expected(files))
    let whole = MemoryStore()
    _ = try await Self.copy(disk, whole).run(now: 0)
    let operations = whole.state.with { $0.operations }
    #expect(operations > 12)
    var resumed = 0
    for losesAnswer in [false, true] {
      for at in 1...operations {
        let store = MemoryStore()
        store.state.with { ($0.failsFrom, $0.losesAnswer) = (at, losesAnswer) }
        await #expect(throws: OffSiteError.self) { try await Self.copy(disk, store).run(now: 0) }
        let there = store.objects
        if there["k/a/\(snapshot)"] != nil {
          for path in files.keys where !path.hasPrefix("manifests/") { #expect(there["k/a/\(path)"] == files[path]) }
        }
        store.state.with { $0.failsFrom = nil }
        resumed += try await Self.copy(disk, store).run(now: 0).resumedParts
        #expect(store.objects == all, "\(at)")
        #expect(store.state.with { $0.uploads.isEmpty })
        // No part went up twice whose answer had come.
        let puts = store.state.with { $0.puts.filter { $0.contains("#") } }
        #expect(puts.count - Set(puts).count <= 2, "\(at)")
      }
    }
    #expect(resumed > 0)
  }

  @Test("what the window leaves behind goes, manifests before what they need, and stops at what is locked")
  func expires() async throws {
    let (disk, files) = try Self.archive()
    let store = MemoryStore()
    let copy = Self.copy(disk, store, lock: .governance)
    _ = try await copy.run(now: 1_000_000)
    #expect(store.state.with { $0.locks["k/a/keyring"] } == nil)
    #expect(store.state.with { $0.locks.values.allSatisfy { $0.until == 1_000_000 + 7 * 86_400_000_000 } })
    // A day passes: another snapshot and pack here, the old ones have expired.
    let next = "manifests/1800000000000000-\(String(repeating: "e", count: 32)).kman"
    try Self.write(disk, next, Self.bytes(40, 10))
    for path in files.keys where path != "keyring" { try disk.remove("\(Self.directory)/\(path)") }
    let kept = try await copy.run(now: 2_000_000, border: 1_750_000_000_000_000)
    #expect((kept.removedFiles, kept.lockedFiles) == (0, 5))
    for path in files.keys { #expect(store.objects["k/a/\(path)"] != nil) }
    store.state.with { $0.now = 1_000_000_000_000_000 }
    let gone = try await copy.run(now: 2_000_000, border: 1_750_000_000_000_000)
    #expect((gone.removedFiles, gone.lockedFiles) == (5, 0))
    #expect(Set(store.objects.keys) == ["k/a/keyring", "k/a/\(next)"])
  }

  @Test("an archive there is read as files are, and cannot be written")
  func disk() async throws {
    let (disk, files) = try Self.archive()
    let store = MemoryStore()
    _ = try await Self.copy(disk, store).run(now: 0)
    store.state.with { s in
      s.objects["k/a/packs/long.kpak"] = Self.bytes(5_000_000, 20)
      s.objects["k/a/packs/short.kpak"] = [1, 2, 3]
      s.objects["k/a/../secret"] = [1]
    }
    let remote = try await ObjectDisk(store, prefix: "k/", root: "/there")
    let mounted = MountedDisk(disk, at: "/there", remote)
    try await Self.pool.perform {
      for (path, bytes) in files {
        #expect(try mounted.open("/there/a/\(path)", .read).read(10_000, at: 0) == bytes)
        #expect(try mounted.open("\(Self.directory)/\(path)", .read).read(10_000, at: 0) == bytes)
      }
      #expect(try mounted.list("/there/a/log") == ["0000000000000001.klrg"])
      #expect(try mounted.list("/there") == ["a"])
      #expect(try mounted.info("/there/a/packs")?.isDirectory == true)
      #expect(try mounted.info("/there/a/nothing") == nil)
      #expect(try mounted.info("/there/a/../secret") == nil)
      let (long, whole) = (try mounted.open("/there/a/packs/long.kpak", .read), Self.bytes(5_000_000, 20))
      #expect(try long.size() == 5_000_000)
      for (at, count) in [(0, 10), (1 << 20, 1), ((1 << 20) - 3, 7), (4_999_990, 100), (0, 5_000_000), (5_000_001, 1)] {
        #expect(try long.read(count, at: UInt64(at)) == Array(whole.dropFirst(at).prefix(count)), "\(at)")
      }
      #expect(throws: DiskError.self) { try mounted.open("/there/a/new", .create) }
      #expect(throws: DiskError.self) { try mounted.remove("/there/a/keyring") }
      // Gone or shortened since it was listed: never fewer bytes in silence.
      let short = try mounted.open("/there/a/packs/short.kpak", .read)
      store.state.with { $0.objects["k/a/packs/short.kpak"] = [1, 2] }
      #expect(throws: DiskError.self) { try short.read(3, at: 0) }
    }
  }
}
