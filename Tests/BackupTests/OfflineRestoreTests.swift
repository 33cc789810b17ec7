import AtRest
import Backup
import Base
import Disk
import Formats
import OpenSSL
import SQLite
import ShardStore
import Simulator
import Testing

@Suite struct OfflineRestoreTests {
  private let account = AccountID(bits: 0xA)

  /// A node whose account has recordings under `keys` (the i-th has i · unit + 5 bytes), one snapshot, and its recovery
  /// file's content; the node is gone afterwards.
  private func archived(
    _ disk: any Disk, keys: [String] = ["a.wav", "b/c.wav"], unit: Int = 150_000
  ) async throws -> RecoveryFile {
    let store = try TestStore.open(disk)
    defer { store.engine.close() }
    try await store.makeAccount(account, rows: 100, recordings: 0)
    for (i, key) in keys.enumerated() {
      try await store.addRecording(account, key, bytes: i * unit + 5, seed: UInt64(i))
    }
    _ = try await store.archive(account).createSnapshot(of: store.engine, kind: .daily)
    return RecoveryFile(account: account, accountKey: try store.engine.keyring(account).accountKey, at: 1)
  }

  @Test("archive and recovery file alone give a database that stock SQLite opens, and every recording's bytes")
  func files() async throws {
    let disk = ForgetfulDisk(seed: 1)
    let recovery = try await archived(disk)
    let identity = Age.generateIdentity()
    let file = try recovery.encode(to: .age(identity.recipient))
    let opened = try RecoveryFile(decoding: file, by: .age(identity.identity))
    let offline = try OfflineRestore(disk: disk, archive: "/archive", recovery: opened)
    #expect(offline.snapshot.state == .proven && offline.plan.recordings == 2)
    let report = try offline.run(out: "/out")
    #expect(report.erased.isEmpty)
    let image = try disk.readAll("/out/account.sqlite", limit: 1 << 26)
    #expect(image.count % 4096 == 0 && Array(image.prefix(15)) == Array("SQLite format 3".utf8))
    let database = try Connection(image: image)
    #expect(try database.query("PRAGMA integrity_check") == [[.text("ok")]])
    #expect(try database.query("SELECT count(*) FROM calls") == [[.integer(100)]])
    #expect(try disk.readAll("/out/recordings/a.wav", limit: 100) == TestStore.content(5, seed: 0))
    #expect(try disk.readAll("/out/recordings/b/c.wav", limit: 1 << 20) == TestStore.content(150_005, seed: 1))
    let list = String(decoding: try disk.readAll("/out/recordings.jsonl", limit: 10_000), as: UTF8.self)
    #expect(list.hasPrefix("{\"key\":\"a.wav\",\"path\":\"recordings/a.wav\",\"bytes\":5,\"md5\":\""))
    #expect(list.split(separator: "\n").count == 2)
  }

  @Test("everything that was written is durable when it returns")
  func durable() async throws {
    let disk = ForgetfulDisk(seed: 5)
    let recovery = try await archived(disk)
    _ = try OfflineRestore(disk: disk, archive: "/archive", recovery: recovery).run(out: "/out")
    let after = disk.crash()
    #expect(try after.readAll("/out/recordings/b/c.wav", limit: 1 << 20) == TestStore.content(150_005, seed: 1))
    let database = try Connection(image: after.readAll("/out/account.sqlite", limit: 1 << 26))
    #expect(try database.query("PRAGMA integrity_check") == [[.text("ok")]])
    #expect(try after.readAll("/out/recordings.jsonl", limit: 10_000).count > 100)
  }

  @Test("hostile keys stay below the directory, each at a path of its own")
  func hostileKeys() async throws {
    let keys = [
      "/etc/passwd", "../../escape", "a/../../b", "a//b", "a/./b", "a", "a/b", "a/b/", ".", "..", "%2E%2E", "c:\\d",
      "new\nline", "tab\tand\u{7F}", "a~", String(repeating: "ü", count: 400), String(repeating: "ü", count: 401),
      "-rf", "~", "%",
    ]
    let disk = ForgetfulDisk(seed: 1)
    let recovery = try await archived(disk, keys: keys, unit: 100)
    _ = try OfflineRestore(disk: disk, archive: "/archive", recovery: recovery).run(out: "/out")
    let files = try listed(disk, "/out/recordings")
    #expect(files.count == keys.count)
    let list = String(decoding: try disk.readAll("/out/recordings.jsonl", limit: 100_000), as: UTF8.self)
    for (file, bytes) in files {
      let parts = file.split(separator: "/", omittingEmptySubsequences: false)
      #expect(parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." && $0.utf8.count <= 255 })
      #expect(bytes % 100 == 5)
      #expect(list.contains("\"path\":\"recordings/\(file)\""))
    }
    #expect(Set(files.map(\.1)) == Set(keys.indices.map { $0 * 100 + 5 }))
    #expect(try disk.list("/out") == ["account.sqlite", "recordings", "recordings.jsonl"])
  }

  private func listed(_ disk: any Disk, _ root: String, _ below: String = "") throws -> [(String, Int)] {
    try disk.list("\(root)/\(below)").flatMap { name -> [(String, Int)] in
      let path = below.isEmpty ? name : "\(below)/\(name)"
      let info = try disk.info("\(root)/\(path)")!
      return info.isDirectory ? try listed(disk, root, path) : [(path, Int(info.bytes))]
    }
  }

  @Test("without the keyring's state, with another key, or before the expected position it refuses")
  func refusals() async throws {
    let disk = ForgetfulDisk(seed: 1)
    let recovery = try await archived(disk)
    let position = try OfflineRestore(disk: disk, archive: "/archive", recovery: recovery).snapshot.position
    func code(_ recovery: RecoveryFile, _ expect: String? = nil, at: UnixMicroseconds? = nil) -> BackupError.Code? {
      do {
        let expected = expect.flatMap { ExpectedPosition($0) }
        #expect((expected == nil) == (expect == nil))
        _ = try OfflineRestore(disk: disk, archive: "/archive", recovery: recovery, at: at, expect: expected)
        return nil
      } catch { return error.code }
    }
    #expect(code(recovery, "\(position)") == nil)
    #expect(code(recovery, "\(position).\(position.checksum)") == nil)
    #expect(code(recovery, "\(position).1234") == .refused)
    #expect(code(recovery, "\(position.epoch).\(position.index + 1)") == .refused)
    #expect(code(recovery, at: 1) == .notFound)
    let other = RecoveryFile(account: account, accountKey: SecretBytes.random(32), at: 1)
    #expect(code(other) == .wrongKey)
    #expect(code(RecoveryFile(account: AccountID(bits: 9), accountKey: recovery.accountKey, at: 1)) == .notFound)
    try disk.remove("/archive/\(account)/keyring")
    #expect(code(recovery) == .refused)
  }

  @Test("of several snapshots it takes the last one made by the given time, and the greatest position without one")
  func moments() async throws {
    let disk = ForgetfulDisk(seed: 1)
    let store = try TestStore.open(disk)
    try await store.makeAccount(account, rows: 1, recordings: 0)
    var positions: [Position] = []
    // The clock jumps back before the last one.
    for time in [100, 200, 50] as [UnixMicroseconds] {
      _ = try await store.engine.write(account) { try $0.execute("INSERT INTO calls(body) VALUES('x')") }
      let layout = store.archive(account).layout
      let archive = AccountArchive(disk: disk, layout: layout, clock: { time })
      positions.append(try await archive.createSnapshot(of: store.engine, kind: .daily).position)
    }
    let recovery = RecoveryFile(account: account, accountKey: try store.engine.keyring(account).accountKey, at: 1)
    store.engine.close()
    func position(at time: UnixMicroseconds?) throws -> Position {
      try OfflineRestore(disk: disk, archive: "/archive", recovery: recovery, at: time).snapshot.position
    }
    #expect(try position(at: nil) == positions[2])
    #expect(try position(at: 199) == positions[2])
    #expect(try position(at: 49 + 1) == positions[2])
    #expect(throws: BackupError.self) { try position(at: 49) }
  }

  @Test("it does not write over anything, and goes over what a killed run left")
  func existing() async throws {
    let disk = ForgetfulDisk(seed: 1)
    let recovery = try await archived(disk)
    try disk.makeDirectory("/out")
    let offline = try OfflineRestore(disk: disk, archive: "/archive", recovery: recovery)
    #expect(throws: BackupError.self) { try offline.run(out: "/out") }
    try disk.makeDirectory("/out2.komora-unfinished/recordings/old")
    _ = try offline.run(out: "/out2")
    #expect(try disk.list("/out2/recordings") == ["a.wav", "b"])
    #expect(try disk.info("/out2.komora-unfinished") == nil)
  }

  @Test("a damaged chunk stops it, names the place and leaves no directory that looks finished")
  func damage() async throws {
    let disk = ForgetfulDisk(seed: 1)
    let recovery = try await archived(disk)
    let packs = "/archive/\(account)/packs"
    let pack = "\(packs)/\(try disk.list(packs)[0])"
    try disk.flip(pack, 200, bit: 0)
    let offline = try OfflineRestore(disk: disk, archive: "/archive", recovery: recovery)
    do {
      _ = try offline.run(out: "/out")
      Issue.record("it restored")
    } catch {
      #expect(error.code == .damaged && error.path == pack && error.offset != nil)
    }
    #expect(try disk.info("/out") == nil)
  }
}
