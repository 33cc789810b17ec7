import Backup
import Base
import Disk
import Formats
import OpenSSL
import SQLite
import Simulator
import Testing

@Suite struct SnapshotTests {
  @Test("a snapshot gives back every page and recording, and SQLite finds nothing wrong in it")
  func whole() async throws {
    let account = try FakeAccount.filled()
    let archive = FakeArchive(ForgetfulDisk(seed: 1), account)
    let stored = try await archive.snapshot(id: 1)
    let (manifest, path) = (stored.manifest, stored.path)
    try archive.expect(manifest, is: account)
    let info = try archive.store.info(path)
    #expect(info.state == .stored && info.position == account.position && info.recordings == 3)
    #expect(info.bytes == UInt64(account.pages.count * 4096 + 3000) && info.addedBytes > 0)
  }

  @Test("rows can be queried in a snapshot without restoring it")
  func queries() async throws {
    let account = try FakeAccount.filled()
    let archive = FakeArchive(ForgetfulDisk(seed: 1), account)
    let manifest = try await archive.snapshot(id: 1).manifest
    let host = try archive.reader(manifest).pages.host
    let rows = try host.query { try $0.query("SELECT count(*), sum(length(body)) FROM calls") }
    #expect(rows == [[.integer(300), .integer(300_000)]])
    #expect(throws: BackupError.self) { try host.query { try $0.execute("DELETE FROM calls") } }
  }

  @Test("an unchanged account adds no pack; one changed page adds one chunk")
  func sharing() async throws {
    var account = try FakeAccount.filled()
    let archive = FakeArchive(ForgetfulDisk(seed: 1), account)
    let first = account
    let one = try await archive.snapshot(id: 1).manifest
    let packs = try archive.files(account.layout.packs).count
    #expect(packs > 1)
    let two = try await archive.snapshot(id: 2, at: 1_700_000_001_000_000).manifest
    #expect(two.header.addedBytes == 0 && two.body == one.body)
    #expect(try archive.files(account.layout.packs).count == packs)
    account.touch(page: 20)
    let three = try await archive.snapshot(account, id: 3, at: 1_700_000_002_000_000).manifest
    #expect(three.header.addedBytes > 0 && three.header.addedBytes < 70_000)
    #expect(try archive.files(account.layout.packs).count == packs + 1)
    for manifest in [one, two] { try archive.expect(manifest, is: first) }
    try archive.expect(three, is: account)
    #expect(try archive.store.list().snapshots.map(\.id.bits) == [1, 2, 3])
  }

  @Test("equal pages have equal roots whatever lies in their reserved bytes")
  func roots() async throws {
    let account = try FakeAccount.filled()
    var replica = account
    for i in replica.pages.indices { replica.pages[i][4090] = UInt8(truncatingIfNeeded: i) }
    let archive = FakeArchive(ForgetfulDisk(seed: 1), account)
    let one = try await archive.snapshot(id: 1).manifest
    let two = try await archive.snapshot(replica, id: 2).manifest
    #expect(one.body.databaseRoot == two.body.databaseRoot)
  }

  @Test("a proof makes a snapshot proven, and only its own manifest")
  func proof() async throws {
    let account = try FakeAccount.filled()
    let disk = ForgetfulDisk(seed: 1)
    let archive = FakeArchive(disk, account)
    let stored = try await archive.snapshot(id: 1)
    let (manifest, path) = (stored.manifest, stored.path)
    let other = try await archive.snapshot(id: 2).path
    let result = try archive.prove(manifest)
    try archive.store.writeProof(manifest, path: path, provenAt: 5, result, account.keys)
    #expect(try archive.store.info(path).state == .proven)
    #expect(try archive.store.info(other).state == .stored)
    let stolen = try disk.readAll(path + ".proof", limit: 1000)
    try disk.replaceFile(other + ".proof", stolen)
    #expect(try archive.store.info(other).state == .stored)
  }

  @Test("a manifest of another account, or signed by another key, is refused")
  func foreign() async throws {
    let account = try FakeAccount.filled()
    let disk = ForgetfulDisk(seed: 1)
    let archive = FakeArchive(disk, account)
    let path = try await archive.snapshot(id: 1).path
    let stranger = FakeAccount(seed: 9)
    #expect(throws: BackupError.self) { try archive.store.read(path, keys: stranger.keys) }
    let forged = ArchiveKeys(
      account: account.id, archive: .init([UInt8](repeating: 1, count: 32)),
      signing: .init([UInt8](repeating: 2, count: 32)))
    let (header, body) = try { ($0.header, $0.body) }(archive.store.read(path, keys: account.keys))
    let file = Manifest.seal(header, body, keys: forged)
    try disk.replaceFile(path, file.encode())
    #expect(throws: BackupError.self) { try archive.store.read(path, keys: account.keys) }
  }

  @Test("an archive that holds snapshots under other keys is not written to")
  func otherKeys() async throws {
    let account = try FakeAccount.filled()
    let disk = ForgetfulDisk(seed: 1)
    let archive = FakeArchive(disk, account)
    try await archive.snapshot(id: 1)
    let state = try disk.readAll(account.layout.keyring, limit: 1000)
    let keys = ArchiveKeys(
      account: account.id, archive: SecretBytes.random(32), signing: SecretBytes.random(32))
    let writer = SnapshotWriter(
      disk: disk, layout: account.layout, keys: keys, index: ArchiveIndex(disk: disk, layout: account.layout))
    await #expect(throws: BackupError.self) {
      try await writer.write(account, SnapshotRequest(id: SnapshotID(bits: 2), kind: .manual, createdAt: 1))
    }
    #expect(try disk.readAll(account.layout.keyring, limit: 1000) == state)
  }

  @Test("a chunk put in another chunk's place does not open")
  func splicing() async throws {
    let account = try FakeAccount.filled()
    let archive = FakeArchive(ForgetfulDisk(seed: 1), account)
    let manifest = try await archive.snapshot(id: 1).manifest
    let coder = DatabaseChunkCoder(keys: account.keys)
    let (name, other) = (manifest.body.groups[0], manifest.body.groups[1])
    var (header, body) = try archive.index.read(name)
    #expect(coder.open(header, body: body) != nil)
    header.name = other
    #expect(coder.open(header, body: body) == nil)
    header.name = name
    header.originalBytes -= 4096
    #expect(coder.open(header, body: body) == nil)
    let stranger = DatabaseChunkCoder(keys: FakeAccount(seed: 9).keys)
    header.originalBytes += 4096
    #expect(stranger.open(header, body: body) == nil)
  }

  @Test("a recording whose key was destroyed counts as erased and does not spoil the proof")
  func erasure() async throws {
    let account = try FakeAccount.filled()
    let archive = FakeArchive(ForgetfulDisk(seed: 1), account)
    let manifest = try await archive.snapshot(id: 1).manifest
    account.recordingKeys.destroy(account.recordings.keys.first!)
    let result = try archive.prove(manifest)
    #expect(result.isWhole && result.erased == 1)
  }

  @Test("a damaged chunk is named with file and offset, and a snapshot that distrusts it heals the archive")
  func healing() async throws {
    let account = try FakeAccount.filled()
    let disk = ForgetfulDisk(seed: 1)
    let archive = FakeArchive(disk, account)
    let manifest = try await archive.snapshot(id: 1).manifest
    let pack = try archive.files(account.layout.packs)[0]
    try disk.flip(pack, 48 + 44 + 100, bit: 3)
    let result = try archive.prove(manifest)
    #expect(result.damaged.count == 1)
    #expect(result.damaged.values.first?.path == pack && result.damaged.values.first?.offset == 48)
    let writer = SnapshotWriter(
      disk: disk, layout: account.layout, keys: account.keys, index: archive.index,
      distrusted: Set(result.damaged.keys))
    let healed = try await writer.write(
      account, SnapshotRequest(id: SnapshotID(bits: 2), kind: .daily, createdAt: 1)
    ).manifest
    #expect(try archive.prove(healed).isWhole)
    #expect(try archive.prove(manifest).isWhole)
  }
}
