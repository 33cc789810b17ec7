import AtRest
import Backup
import Base
import Disk
import Formats
import Glibc
import OpenSSL
import SQLite
import ShardStore
import Simulator
import Testing

@Suite struct ExportTests {
  private let account = AccountID(bits: 0xA)

  private func order(_ id: UInt128 = 1, at time: UnixMicroseconds = 1_700_000_000_000_000) -> ExportOrder {
    ExportOrder(export: ExportID(bits: id), accountName: "nova-voice", createdAt: time)
  }

  private func exports(_ disk: any Disk, root: String = "/archive") -> AccountExports {
    AccountExports(disk: disk, layout: ArchiveLayout(root: root, account: account))
  }

  /// A file as a reader gets it.
  private func copy(_ info: ExportInfo, _ disk: any Disk, _ engine: Engine, root: String = "/archive") throws -> String
  {
    try disk.makeDurableDirectory("/copies")
    let path = "/copies/\(info.file)"
    try disk.replaceFile(path, exports(disk, root: root).plain(info, engine))
    return path
  }

  /// Awkward rows, tables and keys.
  private func fill(_ store: TestStore) async throws {
    try await store.makeAccount(account, rows: 40, recordings: 2)
    _ = try await store.engine.write(account) { connection in
      try connection.execute("CREATE TABLE \"дзвінки/\"\"2026\"\"\"(\"час, с\", b BLOB, t TEXT, r REAL)")
      try connection.execute(
        "INSERT INTO \"дзвінки/\"\"2026\"\"\" VALUES(1, x'00ff', 'a \"b\", c' || char(13, 10) || '\\N', 1.5)")
      try connection.execute("INSERT INTO \"дзвінки/\"\"2026\"\"\" VALUES(NULL, x'', '\\N', 9e999)")
      try connection.execute("CREATE TABLE empty(a INTEGER, b TEXT) STRICT")
      try connection.execute("CREATE TABLE \"..\"(x)")
    }
    for (i, key) in ["../../etc/passwd", "a", "a/b", "/abs", "x\u{1}y", "співробітник.wav", "empty.wav"].enumerated() {
      try await store.addRecording(account, key, bytes: key == "empty.wav" ? 0 : 1000 + i, seed: UInt64(50 + i))
    }
  }

  @Test("what an export holds is the account, in the forms that its README says")
  func contents() async throws {
    let disk = ForgetfulDisk(seed: 1)
    let store = try TestStore.open(disk)
    defer { store.engine.close() }
    try await fill(store)
    let info = try await exports(disk).create(order(), of: store.engine)
    let position = try store.engine.published(account)
    #expect(info.recordings == 9 && info.position == "\(position)")
    let files = try TarFiles(reading: copy(info, disk, store.engine), disk)
    let image = try #require(files["account.sqlite"])
    let database = try Connection(image: image)
    #expect(try database.query("PRAGMA integrity_check") == [[.text("ok")]])
    #expect(try database.query("SELECT count(*) FROM calls") == [[.integer(40)]])
    let csv = String(decoding: try #require(files["tables/дзвінки%2F\"2026\".csv"]), as: UTF8.self)
    #expect(
      csv == "\"час, с\",\"b\",\"t\",\"r\"\r\n1,\\x00ff,\"a \"\"b\"\", c\r\n\\N\",1.5\r\n\\N,\\x,\"\\\\N\",9e999\r\n")
    #expect(files["tables/empty.csv"].map { String(decoding: $0, as: UTF8.self) } == "\"a\",\"b\"\r\n")
    #expect(files["tables/%2E%2E.csv"] != nil)
    #expect(files.paths.filter { $0.hasPrefix("tables/") }.count == 4)
    #expect(files["recordings/calls/1.wav"] == TestStore.content(200_010, seed: 1))
    #expect(files["recordings/%2E%2E/%2E%2E/etc/passwd"] == TestStore.content(1000, seed: 50))
    #expect(files["recordings/a~"] == TestStore.content(1001, seed: 51))
    #expect(files["recordings/a/b"] == TestStore.content(1002, seed: 52))
    #expect(files["recordings/%/abs"] != nil && files["recordings/x%01y"] != nil)
    #expect(files["recordings/співробітник.wav"] == TestStore.content(1005, seed: 55))
    #expect(files["recordings/empty.wav"] == [])
    let lines = String(decoding: try #require(files["recordings.jsonl"]), as: UTF8.self).split(separator: "\n")
    #expect(lines.count == 9 && lines.allSatisfy { $0.contains("\"sha256\":\"") })
    let sums = String(decoding: try #require(files["SHA256SUMS"]), as: UTF8.self).split(separator: "\n")
    #expect(sums.count == files.paths.count - 1)
    for line in sums {
      let (hash, name) = (line.prefix(64), String(line.dropFirst(66)))
      #expect(SHA256.hash(try #require(files[name])).hex == hash, "\(name)")
    }
  }

  @Test("verify finds an export whole, says whose it is, and takes nothing else for one")
  func verified() async throws {
    let disk = ForgetfulDisk(seed: 1)
    let store = try TestStore.open(disk)
    defer { store.engine.close() }
    try await fill(store)
    let info = try await exports(disk).create(order(), of: store.engine)
    let report = try Verify.run(copy(info, disk, store.engine), disk: disk)
    #expect(report.findings.isEmpty, "\(report.findings)")
    #expect(report.kinds == ["export": 1])
    let key = try store.engine.keyring(account).keys.signingPublic.hex
    #expect(report.notes.contains { $0.contains("nova-voice") && $0.contains(key) })
    // The whole archive, with the description and the list beside it.
    let all = try Verify.run("/archive", disk: disk)
    #expect(all.findings.isEmpty && all.kinds == ["age-": 1, "export.json": 1, "KEXI": 1], "\(all)")
    // Another program's zstd file is nothing of ours.
    try disk.replaceFile("/copy.zst", Zstd.compress([UInt8](repeating: 7, count: 1000)))
    #expect(throws: BackupError.self) { try Verify.run("/copy.zst", disk: disk) }
  }

  @Test("an export to recipients opens with any of their identities and holds the same; its description vouches for it")
  func encrypted() async throws {
    let disk = ForgetfulDisk(seed: 1)
    let store = try TestStore.open(disk)
    defer { store.engine.close() }
    try await fill(store)
    let (one, two) = (Age.generateIdentity(), Age.generateIdentity())
    var wanted = order()
    wanted.recipients = [one.recipient, two.recipient]
    let info = try await exports(disk).create(wanted, of: store.engine)
    #expect(info.file.hasSuffix(".tar.zst.age"))
    let file = try exports(disk).plain(info, store.engine)
    #expect(SHA256.hash(file) == info.hash && file.count == Int(info.bytes))
    for identity in [one.identity, two.identity] {
      let plain = try Age.decrypt(file, identities: Age.identities(in: identity))
      try disk.replaceFile("/plain.tar.zst", plain)
      let report = try Verify.run("/plain.tar.zst", disk: disk)
      #expect(report.findings.isEmpty && report.kinds["export"] == 1)
    }
    let stored = exports(disk).store.path(of: info)
    try disk.flip(stored, file.count / 2, bit: 3)
    let report = try Verify.run("/archive", disk: disk)
    #expect(report.findings.contains { $0.path == stored })
    #expect(throws: BackupError.self) { try exports(disk).plain(info, store.engine) }
  }

  @Test("a period holds the recordings made in it; a chain holds each recording once")
  func chains() async throws {
    let disk = ForgetfulDisk(seed: 1)
    let store = try TestStore.open(disk)
    defer { store.engine.close() }
    try await store.makeAccount(account, rows: 3, recordings: 0)
    for i in 0..<4 { try await add(store, "r\(i)", at: Int64(i) * 1_000_000) }
    var first = order(1)
    (first.from, first.to) = (1_000_000, 3_000_000)
    let period = try await exports(disk).create(first, of: store.engine)
    #expect(try recordings(period, disk, store.engine) == ["r1", "r2"])
    var second = order(2, at: 1_700_000_001_000_000)
    second.previous = period.id
    try await add(store, "r4", at: 4_000_000)
    // A new recording under an old key is a recording that the chain does not hold.
    try await add(store, "r1", at: 5_000_000)
    let rest = try await exports(disk).create(second, of: store.engine)
    #expect(try recordings(rest, disk, store.engine) == ["r0", "r1", "r3", "r4"])
    var third = order(3, at: 1_700_000_002_000_000)
    third.previous = rest.id
    let nothing = try await exports(disk).create(third, of: store.engine)
    #expect(try recordings(nothing, disk, store.engine) == [] && nothing.recordings == 0)
    #expect(nothing.previous == rest.id)
    let files = try TarFiles(reading: copy(nothing, disk, store.engine), disk)
    let manifest = String(decoding: try #require(files["manifest.json"]), as: UTF8.self)
    #expect(manifest.contains("\"previous\": \"\(rest.id)\"") && manifest.contains(rest.root.hex))
    #expect(try await exports(disk).list().map(\.id) == [period.id, rest.id, nothing.id])
    #expect(try Verify.run("/archive", disk: disk).findings.isEmpty)
    // Without the one before there is nothing to go on from.
    #expect(try await exports(disk).remove(rest.id))
    third.export = ExportID(bits: 4)
    await #expect(throws: BackupError.self) { try await exports(disk).create(third, of: store.engine) }
  }

  private func add(_ store: TestStore, _ key: String, at time: UnixMicroseconds) async throws {
    try await put(store, key, Array("\(key) \(time)".utf8), at: time)
  }

  private func put(_ store: TestStore, _ key: String, _ bytes: [UInt8], at time: UnixMicroseconds) async throws {
    let upload = try await store.engine.upload(account)
    try await upload.append(bytes)
    let stored = try await upload.finish()
    _ = try await store.engine.write(account) { connection in
      try RecordingCatalog.put(connection, key: key, stored, contentType: "audio/wav", metadata: "{}", at: time)
    }
  }

  private func recordings(_ info: ExportInfo, _ disk: any Disk, _ engine: Engine) throws -> [String] {
    try TarFiles(reading: copy(info, disk, engine), disk).paths.filter { $0.hasPrefix("recordings/") }
      .map { String($0.dropFirst("recordings/".count)) }
  }

  @Test(
    "on the disk nothing of an export can be read without the account's key, and another account's does not open it")
  func sealed() async throws {
    let disk = ForgetfulDisk(seed: 1)
    let store = try TestStore.open(disk)
    defer { store.engine.close() }
    try await store.makeAccount(account, rows: 3, recordings: 1)
    let canary = "a canary that does not compress: \(SystemRandom.bytes(16).hex)"
    try await store.addRecording(account, "\(canary).wav", bytes: 10, seed: 1)
    let info = try await exports(disk).create(order(), of: store.engine)
    let path = exports(disk).store.path(of: info)
    let stored = try disk.readAll(path, limit: 1 << 26)
    #expect(SHA256.hash(stored) == info.storedHash && stored.count == Int(info.storedBytes))
    #expect(stored.starts(with: "age-encryption.org/v1\n-> X25519 ".utf8))
    #expect(stored.firstRange(of: Array(ZstdStreamCompressor.frameStart)) == nil)
    let other = AccountID(bits: 0xB)
    try await store.engine.createAccount(other)
    let stranger = try store.engine.keyring(other).agreement.private
    #expect(throws: BackupError.self) { try exports(disk).store.open(info, owner: stranger) }
    // Each piece of any length is what a whole read gives.
    let file = try exports(disk).store.open(info, owner: store.engine.keyring(account).agreement.private)
    let whole = try exports(disk).plain(info, store.engine)
    #expect(file.byteCount == UInt64(whole.count))
    var random = SeededGenerator(seed: 3)
    for _ in 0..<200 {
      let (start, count) = (random.below(whole.count + 10), random.below(200_000))
      let expected = start < whole.count ? Array(whole[start..<min(start + count, whole.count)]) : []
      #expect(try file.read(count, at: UInt64(start)) == expected)
    }
  }

  @Test("an erased recording is listed as erased and its bytes are not there")
  func erased() async throws {
    let disk = ForgetfulDisk(seed: 1)
    let store = try TestStore.open(disk)
    defer { store.engine.close() }
    try await store.makeAccount(account, rows: 1, recordings: 2)
    let row = try await store.engine.read(account) { try RecordingCatalog.get($0, key: "calls/1.wav") }.value!
    try store.engine.keyring(account).destroyRecordingKeys([row.id])
    let info = try await exports(disk).create(order(), of: store.engine)
    let files = try TarFiles(reading: copy(info, disk, store.engine), disk)
    #expect(info.recordings == 1 && files["recordings/calls/1.wav"] == nil)
    let lines = String(decoding: try #require(files["recordings.jsonl"]), as: UTF8.self)
    #expect(lines.contains("{\"key\":\"calls/1.wav\",\"erased\":true,"))
    #expect(try Verify.run(copy(info, disk, store.engine), disk: disk).findings.isEmpty)
  }

  @Test("with FLAC plain WAV files have a path of their own, which no key can have, and everything else stays")
  func audio() async throws {
    let disk = ForgetfulDisk(seed: 1)
    let store = try TestStore.open(disk)
    defer { store.engine.close() }
    try await store.makeAccount(account, rows: 1, recordings: 1)
    let samples = (0..<400_000).map { UInt8(truncatingIfNeeded: $0 % 2 == 0 ? $0 / 97 : 0) }
    var header = ByteWriter(capacity: 44)
    header.put(raw: "RIFF".utf8)
    header.put(UInt32(36 + samples.count))
    header.put(raw: "WAVEfmt ".utf8)
    for value: UInt32 in [16, 1 | 1 << 16, 8000, 16_000, 2 | 16 << 16] { header.put(value) }
    header.put(raw: "data".utf8)
    header.put(UInt32(samples.count))
    for key in ["call.wav", "call.wav~.flac"] { try await put(store, key, header.bytes + samples, at: 1) }
    var wanted = order()
    wanted.asFLAC = true
    let info = try await exports(disk).create(wanted, of: store.engine)
    let files = try TarFiles(reading: copy(info, disk, store.engine), disk)
    let flac = try #require(files["recordings/call.wav~.flac"])
    #expect(flac.starts(with: "fLaC".utf8) && flac.count < samples.count && files["recordings/call.wav"] == nil)
    #expect(files["recordings/call.wav%7E.flac~.flac"] == flac)
    #expect(files["recordings/calls/0.wav"] == TestStore.content(10, seed: 0))
    let original = SHA256.hash(header.bytes + samples).hex
    let lines = String(decoding: try #require(files["recordings.jsonl"]), as: UTF8.self).split(separator: "\n")
    #expect(lines.count { $0.contains("\"audio\":\"flac\"") && $0.contains(original) } == 2)
    #expect(try Verify.run(copy(info, disk, store.engine), disk: disk).findings.isEmpty)
  }

  @Test("a cancelled export leaves nothing, and a removed one is gone")
  func cancelled() async throws {
    let disk = ForgetfulDisk(seed: 1)
    let store = try TestStore.open(disk)
    defer { store.engine.close() }
    try await store.makeAccount(account)
    var wanted = order()
    wanted.isCancelled = { true }
    await #expect(throws: CancellationError.self) { try await exports(disk).create(wanted, of: store.engine) }
    #expect(try disk.list("/archive/\(account)/exports") == [])
    let info = try await exports(disk).create(order(2), of: store.engine)
    #expect(try await exports(disk).remove(info.id))
    #expect(try await exports(disk).remove(info.id) == false)
    #expect(try disk.list("/archive/\(account)/exports") == [])
  }

  @Test("wrong wishes are refused before anything is written")
  func refused() async throws {
    let disk = ForgetfulDisk(seed: 1)
    let store = try TestStore.open(disk)
    defer { store.engine.close() }
    try await store.makeAccount(account, rows: 1, recordings: 0)
    var wrong = [order(), order(), order(), order()]
    wrong[0].recipients = ["age1nobody"]
    (wrong[1].from, wrong[1].to) = (5, 5)
    wrong[2].accountName = "../x"
    wrong[3].partBytes = 5
    for order in wrong {
      do {
        _ = try await exports(disk).create(order, of: store.engine)
        Issue.record("exported: \(order)")
      } catch let error as BackupError { #expect(error.code == .refused) }
    }
    #expect(try disk.info("/archive") == nil)
  }

  @Test("an export that may not fit is not begun, and leaves nothing")
  func noSpace() async throws {
    let store = try TestStore.open(ForgetfulDisk(seed: 1))
    defer { store.engine.close() }
    try await store.makeAccount(account, rows: 1, recordings: 1)
    let small = ForgetfulDisk(seed: 2, capacityBytes: 60 << 20)
    do {
      _ = try await exports(small).create(order(), of: store.engine)
      Issue.record("exported")
    } catch let error as BackupError { #expect(error.code == .diskFull && error.message.contains("MiB left")) }
    #expect(try small.list("/archive/\(account)/exports") == [])
  }

  @Test("nothing of the account stands readable on the disk while an encrypted export is made or when it has died")
  func sealedSpools() async throws {
    let disk = ForgetfulDisk(seed: 1)
    let store = try TestStore.open(disk)
    defer { store.engine.close() }
    try await store.makeAccount(account, rows: 400, recordings: 1)
    let target = ForgetfulDisk(seed: 2)
    let plan = FaultPlan(.stop(.before), at: 1, of: [.rename])
    target.onOperation(plan.decide)
    var wanted = order()
    wanted.recipients = [Age.generateIdentity().recipient]
    _ = try? await exports(target).create(wanted, of: store.engine)
    #expect(plan.fired)
    let left = target.crash()
    let needle = Array("call 7 xxxxxxxx".utf8)
    for path in try allFiles(left, "/archive") {
      let bytes = try left.readAll(path, limit: 1 << 26)
      #expect(bytes.firstRange(of: needle) == nil, "\(path)")
    }
  }

  private func allFiles(_ disk: any Disk, _ path: String) throws -> [String] {
    guard let info = try disk.info(path) else { return [] }
    guard info.isDirectory else { return [path] }
    return try disk.list(path).flatMap { try allFiles(disk, "\(path)/\($0)") }
  }
}
