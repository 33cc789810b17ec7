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

@Suite struct VerifyTests {
  private let account = AccountID(bits: 0xA)

  /// An archive of two snapshots and the node that made it, closed.
  private func prepared() async throws -> ForgetfulDisk {
    let disk = ForgetfulDisk(seed: 2)
    let store = try TestStore.open(disk)
    try await store.makeAccount(account, rows: 4, recordings: 1)
    _ = try await store.archive(account).createSnapshot(of: store.engine, kind: .manual)
    _ = try await store.engine.write(account) { try $0.execute("DELETE FROM calls WHERE id = 1") }
    _ = try await store.archive(account).createSnapshot(of: store.engine, kind: .daily)
    store.engine.close()
    return disk
  }

  @Test("an untouched archive and data directory are sound, with keys and without")
  func sound() async throws {
    let disk = try await prepared()
    let kek = VerifyKeys.keyEncryption(TestKeyEncryption())
    for keys in [VerifyKeys.none, kek] {
      for path in ["/archive", "/archive/\(account)", "/node", "/"] {
        let report = try Verify.run(path, disk: disk, keys: keys)
        #expect(report.findings.isEmpty, "\(path): \(report.findings)")
        #expect(report.files > 3)
      }
    }
    let report = try Verify.run("/archive", disk: disk, keys: kek)
    #expect(report.kinds == ["KPAK": 2, "KMAN": 2, "KPRF": 2, "KKEY": 1])
    #expect(report.notes.isEmpty && report.units > 10)
  }

  @Test("every byte of a small archive flipped in turn is found without keys, with file and offset")
  func everyByte() async throws {
    let disk = try await prepared()
    var bytes = 0
    for directory in ["packs", "manifests"] {
      for name in try disk.list("/archive/\(account)/\(directory)") {
        let path = "/archive/\(account)/\(directory)/\(name)"
        bytes += try flipEach(path, disk)
      }
    }
    bytes += try flipEach("/archive/\(account)/keyring", disk)
    #expect(bytes > 3000)
  }

  /// Flips a bit of each byte, of every 61st in the long middle of large files, and expects the place to be named.
  private func flipEach(_ path: String, _ disk: ForgetfulDisk) throws -> Int {
    let size = Int(try disk.info(path)!.bytes)
    var checked = 0
    var offset = 0
    while offset < size {
      try disk.flip(path, offset, bit: offset % 8)
      let report = try Verify.run(path, disk: disk)
      let named = report.findings.contains { $0.path == path && $0.offset <= UInt64(offset) }
      #expect(named, "\(path) at \(offset): \(report.findings)")
      try disk.flip(path, offset, bit: offset % 8)
      checked += 1
      offset += offset < 400 || size - offset < 400 || size < 2000 ? 1 : 61
    }
    #expect(try Verify.run(path, disk: disk).findings.isEmpty)
    return checked
  }

  @Test("single files of an account that lie elsewhere are checked by themselves")
  func copies() async throws {
    let disk = try await prepared()
    try disk.makeDirectory("/copy")
    var kinds = 0
    for (from, name) in [
      ("/node/accounts/\(account)/redo.krdo", "redo.krdo"), ("/node/accounts/\(account)/pages.kpgs", "pages.kpgs"),
      ("/node/accounts/\(account)/pages.keys", "pages.keys"), ("/node/accounts/\(account)/keyring", "keyring"),
    ] + (try firstOf("/node/accounts/\(account)/segments", disk))
      + (try firstOf("/node/accounts/\(account)/volumes", disk))
      + (try firstOf("/node/log", disk))
    {
      let bytes = try disk.readAll(from, limit: 1 << 26)
      try disk.replaceFile("/copy/\(name)", bytes)
      let report = try Verify.run("/copy/\(name)", disk: disk)
      #expect(report.findings.isEmpty && report.files == 1, "\(name): \(report.findings)")
      try disk.flip("/copy/\(name)", 9, bit: 0)
      #expect(!(try Verify.run("/copy/\(name)", disk: disk)).findings.isEmpty, "\(name)")
      kinds += 1
    }
    #expect(kinds == 7)
  }

  private func firstOf(_ directory: String, _ disk: any Disk) throws -> [(String, String)] {
    try disk.list(directory).prefix(1).map { ("\(directory)/\($0)", $0) }
  }

  @Test("a chunk replaced by another whole one is found with keys")
  func replaced() async throws {
    let disk = try await prepared()
    let packs = "/archive/\(account)/packs"
    let names = try disk.list(packs)
    try disk.remove("\(packs)/\(names[0])")
    let without = try Verify.run("/archive", disk: disk)
    #expect(without.isSound && !without.notes.isEmpty)
    let with = try Verify.run("/archive", disk: disk, keys: .keyEncryption(TestKeyEncryption()))
    #expect(!with.isSound)
  }

  @Test("leftovers are told from damage, foreign files from both, and nothing at all is an error")
  func others() async throws {
    let disk = try await prepared()
    try disk.replaceFile("/archive/\(account)/packs/\(PackID(bits: 4)).kpak.new", [1, 2, 3])
    try disk.replaceFile("/archive/notes.txt", Array("hello".utf8))
    let report = try Verify.run("/archive", disk: disk)
    #expect(report.isSound && report.findings.count == 1 && report.findings[0].severity == .mendable)
    #expect(report.notes.contains { $0.contains("notes.txt") })
    #expect(throws: BackupError.self) { try Verify.run("/nowhere", disk: disk) }
    #expect(throws: BackupError.self) { try Verify.run("/archive/notes.txt", disk: disk) }
  }

  @Test("a lost keyring state is damage, since nothing opens without it")
  func lostKeyring() async throws {
    let disk = try await prepared()
    try disk.remove("/archive/\(account)/keyring")
    #expect(!(try Verify.run("/archive", disk: disk)).isSound)
  }
}
