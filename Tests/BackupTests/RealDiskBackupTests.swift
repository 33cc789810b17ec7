import AtRest
import Backup
import Base
import Disk
import Formats
import Glibc
import SQLite
import ShardStore
import Testing

/// The same on a real file system: direct writes with their alignment, real renames, and files that other programs open.
@Suite struct RealDiskBackupTests {
  private let account = AccountID(bits: 0xA)
  private let copy = AccountID(bits: 0xB)

  private func withDirectory(_ body: (String) async throws -> Void) async throws {
    var template = Array("/tmp/komora-backup-XXXXXX".utf8CString)
    let root = String(cString: mkdtemp(&template))
    do {
      try await body(root)
      try remove(root)
    } catch {
      try? remove(root)
      throw error
    }
  }

  private func remove(_ path: String) throws {
    let disk = RealDisk()
    for name in try disk.list(path) {
      let child = "\(path)/\(name)"
      if try disk.info(child)?.isDirectory == true { try remove(child) } else { try disk.remove(child) }
    }
    try disk.removeDirectory(path)
  }

  @Test("snapshot, proof, restore and verification on a real disk")
  func whole() async throws {
    try await withDirectory { root in
      let store = try TestStore.open(RealDisk(), root: "\(root)/node")
      try await store.makeAccount(account)
      let before = try await store.fingerprint(account)
      let archive = store.archive(account, root: "\(root)/archive")
      let info = try await archive.createSnapshot(of: store.engine, kind: .manual)
      #expect(info.state == .proven && info.addedBytes > 0)
      let again = try await archive.createSnapshot(of: store.engine, kind: .daily)
      #expect(again.addedBytes == 0 && again.state == .proven)
      let report = try Verify.run(
        "\(root)/archive", disk: RealDisk(), keys: .keyEncryption(store.kek))
      #expect(report.findings.isEmpty && report.kinds["KMAN"] == 2)
      let request = RestoreRequest(snapshot: info.id, as: copy, unlockedBy: .keyEncryption(store.kek))
      _ = try await archive.restore(request, into: store.engine)
      #expect(try await store.fingerprint(copy) == before)
      store.engine.close()
    }
  }

  @Test("an offline restore gives a file that SQLite opens as it is")
  func offline() async throws {
    try await withDirectory { root in
      let store = try TestStore.open(RealDisk(), root: "\(root)/node")
      try await store.makeAccount(account)
      let archive = store.archive(account, root: "\(root)/archive")
      _ = try await archive.createSnapshot(of: store.engine, kind: .manual)
      let key = try store.engine.keyring(account).accountKey
      store.engine.close()
      let recovery = RecoveryFile(account: account, accountKey: key, at: 1)
      _ = try OfflineRestore(disk: RealDisk(), archive: "\(root)/archive", recovery: recovery).run(out: "\(root)/out")
      let database = try Connection(path: "\(root)/out/account.sqlite", .readWrite)
      #expect(try database.query("PRAGMA integrity_check") == [[.text("ok")]])
      #expect(try database.query("SELECT count(*) FROM calls") == [[.integer(500)]])
      try database.execute("INSERT INTO calls(body) VALUES('written by somebody else')")
      let content = try RealDisk().readAll("\(root)/out/recordings/calls/3.wav", limit: 1 << 20)
      #expect(content == TestStore.content(600_010, seed: 3))
    }
  }

  @Test("while somebody reads in an archive nothing is removed from it; the next round does it")
  func held() async throws {
    try await withDirectory { root in
      let (disk, clock) = (RealDisk(), MovingClock())
      let store = try TestStore.open(disk, root: "\(root)/node", clock: clock)
      defer { store.engine.close() }
      try await store.makeAccount(account, rows: 40, recordings: 1)
      let layout = ArchiveLayout(root: "\(root)/archive", account: account)
      let archive = AccountArchive(disk: disk, layout: layout, clock: { clock.unixMicroseconds() })
      for _ in 0..<3 {
        _ = try await archive.createSnapshot(of: store.engine, kind: .daily)
        clock.advance(microseconds: 86_400_000_000)
      }
      let request = UpkeepRequest(
        border: clock.unixMicroseconds(), now: clock.unixMicroseconds(), unlockedBy: .keyEncryption(store.kek))
      do {
        let reader = try SnapshotReader.open(
          path: try await archive.list().snapshots[0].path, disk: disk, layout: layout,
          unlockedBy: .keyEncryption(store.kek))
        let report = try await archive.upkeep(request)
        #expect(report.isDeferred && report.expiredSnapshots == 0)
        try reader.checkIntegrity()
        #expect(try await archive.list().snapshots.count == 3)
      }
      let report = try await archive.upkeep(request)
      #expect(!report.isDeferred && report.expiredSnapshots == 2)
    }
  }
}
