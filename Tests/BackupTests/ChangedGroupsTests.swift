import AtRest
import Backup
import Base
import Disk
import Formats
import SQLite
import ShardStore
import Simulator
import Testing
import Threads

/// A pinned account that counts what is read of it.
private struct CountedSource: SnapshotSource {
  let pinned: PinnedSource
  let pagesRead = Lock(0)
  let listsRead = Lock(0)

  var account: AccountID { pinned.account }
  var position: Position { pinned.position }
  var databasePages: Int { pinned.databasePages }

  func changes(since position: Position) async throws -> DatabaseChanges? {
    try await pinned.changes(since: position)
  }
  func pages(from first: PageNumber, count: Int) async throws -> [UInt8] {
    pagesRead.with { $0 += count }
    return try await pinned.pages(from: first, count: count)
  }
  func recordings() async throws -> [SourceRecording] {
    listsRead.with { $0 += 1 }
    return try await pinned.recordings()
  }
  func sealedChunk(_ number: Int, of recording: RecordingID) async throws -> [UInt8] {
    try await pinned.sealedChunk(number, of: recording)
  }
  func keyringState() throws -> [UInt8] { try pinned.keyringState() }
}

@Suite struct ChangedGroupsTests {
  private let account = AccountID(bits: 0xA)

  private struct Taken {
    var manifest: Manifest
    var pagesRead: Int
    var listsRead: Int
  }

  /// A snapshot of the account as it is, after the newest one below `root`.
  private func take(_ store: TestStore, root: String, id: Int, isWhole: Bool = false) async throws -> Taken {
    let layout = ArchiveLayout(root: root, account: account)
    let keyring = try store.engine.keyring(account)
    let keys = ArchiveKeys(account: account, archive: keyring.archive, signing: keyring.keys.signing)
    let source = CountedSource(pinned: try await PinnedSource.pin(store.engine, account))
    let manifests = ManifestStore(disk: store.disk, layout: layout)
    let base = isWhole ? nil : try manifests.newest(upTo: source.position, keys: keys)
    let writer = SnapshotWriter(
      disk: store.disk, layout: layout, keys: keys, index: ArchiveIndex(disk: store.disk, layout: layout))
    let request = SnapshotRequest(
      id: SnapshotID(bits: UInt128(id)), kind: .daily, createdAt: 1_700_000_000_000_000 + Int64(id))
    let manifest = try await writer.write(source, request, after: base).manifest
    return Taken(
      manifest: manifest, pagesRead: source.pagesRead.with { $0 }, listsRead: source.listsRead.with { $0 })
  }

  @Test(
    "a snapshot that reads only what the log says equals one that reads everything", arguments: 1...4 as ClosedRange)
  func equalsWholeReading(seed: UInt64) async throws {
    let disk = ForgetfulDisk(seed: seed)
    var store = try TestStore.open(disk)
    try await store.makeAccount(account, rows: 400, recordings: 1)
    var random = SeededGenerator(seed: seed)
    var (read, pages) = (0, 0)
    for round in 1...24 {
      try await change(store, &random, round)
      // A checkpoint begins with a mark, which carries the epoch's key further.
      if random.oneIn(3) {
        var isDue = true
        while store.engine.stepCheckpoint(account, force: isDue) { isDue = false }
      }
      if random.oneIn(4) {
        store.engine.close()
        store = try TestStore.open(disk)
      }
      let some = try await take(store, root: "/some", id: round)
      let all = try await take(store, root: "/all-\(round)", id: round, isWhole: true)
      #expect(some.manifest.body == all.manifest.body, "seed \(seed), round \(round)")
      #expect(all.pagesRead == all.manifest.header.databasePages)
      if round > 1 { (read, pages) = (read + some.pagesRead, pages + all.pagesRead) }
    }
    // Most rounds change a few pages of some hundred.
    #expect(read * 2 < pages)
    store.engine.close()
  }

  private func change(_ store: TestStore, _ random: inout SeededGenerator, _ round: Int) async throws {
    let kind = random.below(6)
    let (first, count) = (random.below(500), 1 + random.below(30))
    if kind == 5 {
      return try await store.addRecording(account, "new/\(round % 4).wav", bytes: 1000, seed: UInt64(round))
    }
    _ = try await store.engine.write(account) { connection in
      switch kind {
      case 0: break
      case 1:
        for i in 0..<count {
          try connection.execute("INSERT INTO calls(body) VALUES(?)", .text("\(round) \(i) \(first)"))
        }
      case 2:
        try connection.execute("UPDATE calls SET body = body || 'y' WHERE id = ?", .integer(Int64(first)))
      case 3:
        try connection.execute(
          "DELETE FROM calls WHERE id BETWEEN ? AND ?", .integer(Int64(first)), .integer(Int64(first + count)))
      default:
        try connection.execute("CREATE TABLE IF NOT EXISTS t\(first % 3)(x BLOB)")
        try connection.execute("INSERT INTO t\(first % 3) VALUES(zeroblob(?))", .integer(Int64(count * 3000)))
        if first % 2 == 0 { try connection.execute("DROP TABLE t\(first % 3)") }
      }
    }
  }

  @Test("an unchanged account is not read at all, also after a restart with an epoch of its own")
  func unchanged() async throws {
    let disk = ForgetfulDisk(seed: 1)
    var store = try TestStore.open(disk)
    try await store.makeAccount(account)
    let first = try await take(store, root: "/archive", id: 1)
    let second = try await take(store, root: "/archive", id: 2)
    #expect(second.pagesRead == 0 && second.listsRead == 0)
    #expect(second.manifest.body == first.manifest.body && second.manifest.header.addedBytes == 0)
    store.engine.close()
    store = try TestStore.open(disk)
    // A write without effect begins the epoch.
    _ = try await store.engine.write(account) { try $0.execute("DELETE FROM calls WHERE id = -1") }
    let third = try await take(store, root: "/archive", id: 3)
    #expect(third.pagesRead == 0 && third.manifest.body == first.manifest.body)
    store.engine.close()
  }

  @Test("a snapshot of another history is no base: everything is read")
  func otherHistory() async throws {
    let store = try TestStore.open(ForgetfulDisk(seed: 1))
    defer { store.engine.close() }
    try await store.makeAccount(account)
    let first = try await take(store, root: "/archive", id: 1)
    _ = try await store.engine.write(account) { try $0.execute("UPDATE calls SET body = 'z' WHERE id = 1") }
    let source = try await PinnedSource.pin(store.engine, account)
    var position = first.manifest.header.position
    #expect(try await source.changes(since: position)?.groups.isEmpty == false)
    position.checksum = Checksum(bits: position.checksum.bits ^ 1)
    #expect(try await source.changes(since: position) == nil)
    #expect(
      try await source.changes(since: Position(epoch: 9, index: source.position.index + 1, checksum: .zero)) == nil)
  }

  @Test("chunks that the archive has lost are read and written again")
  func lostChunks() async throws {
    let store = try TestStore.open(ForgetfulDisk(seed: 1))
    defer { store.engine.close() }
    try await store.makeAccount(account)
    let first = try await take(store, root: "/archive", id: 1)
    let packs = ArchiveLayout(root: "/archive", account: account).packs
    for name in try store.disk.list(packs) { try store.disk.remove("\(packs)/\(name)") }
    let second = try await take(store, root: "/archive", id: 2)
    #expect(second.pagesRead == second.manifest.header.databasePages && second.manifest.header.addedBytes > 0)
    #expect(second.manifest.body == first.manifest.body)
  }
}
