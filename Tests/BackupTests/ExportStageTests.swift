import Backup
import Base
import Disk
import OpenSSL
import ShardStore
import Simulator
import Testing
import Threads

/// The threads of an export: whatever ends it, and while each of them holds something, it ends and leaves nothing.
@Suite struct ExportStageTests {
  private let account = AccountID(bits: 0xA)

  private func exports(_ disk: any Disk) -> AccountExports {
    AccountExports(disk: disk, layout: ArchiveLayout(root: "/archive", account: account))
  }

  private func order(_ id: UInt128) -> ExportOrder {
    var order = ExportOrder(export: ExportID(bits: id), accountName: "acme", createdAt: Int64(id) * 1_000_000)
    order.asFLAC = true
    return order
  }

  /// More bytes than all stages hold; one FLAC file that goes over the disk, one that stays in memory, and others between.
  private func filled() async throws -> TestStore {
    let store = try TestStore.open(ForgetfulDisk(seed: 1))
    try await store.makeAccount(account, rows: 100, recordings: 1)
    for (key, bytes) in [("a.wav", 5_000_000), ("b.wav", 300_000), ("d.wav", 200_000), ("e.wav", 600_000)] {
      try await put(store, key, wav(bytes))
    }
    try await store.addRecording(account, "c.bin", bytes: 9_000_000, seed: 3)
    return store
  }

  private func put(_ store: TestStore, _ key: String, _ bytes: [UInt8]) async throws {
    let upload = try await store.engine.upload(account)
    try await upload.append(bytes)
    let stored = try await upload.finish()
    _ = try await store.engine.write(account) { connection in
      try RecordingCatalog.put(connection, key: key, stored, contentType: "audio/wav", metadata: "{}", at: 1)
    }
  }

  private func wav(_ bytes: Int) -> [UInt8] {
    var writer = ByteWriter(capacity: 44)
    writer.put(raw: "RIFF".utf8)
    writer.put(UInt32(36 + bytes))
    writer.put(raw: "WAVEfmt ".utf8)
    for value: UInt32 in [16, 1 | 1 << 16, 8000, 16_000, 2 | 16 << 16] { writer.put(value) }
    writer.put(raw: "data".utf8)
    writer.put(UInt32(bytes))
    return writer.bytes + TestStore.content(bytes, seed: UInt64(bytes))
  }

  private func checkNothingIsLeft(_ disk: any Disk) throws {
    #expect(try disk.info("/archive") == nil || disk.list("/archive/\(account)/exports") == [])
  }

  @Test("a write that fails while all stages hold bytes ends the export with its error, and the next one is whole")
  func failures() async throws {
    let store = try await filled()
    defer { store.engine.close() }
    let counter = FaultPlan(.fail(.full), at: .max, of: [.write])
    let whole = ForgetfulDisk(seed: 1)
    whole.onOperation(counter.decide)
    _ = try await exports(whole).create(order(1), of: store.engine)
    #expect(counter.matching > 60)
    let disk = ForgetfulDisk(seed: 1)
    for n in stride(from: 1, through: counter.matching, by: 6) {
      let plan = FaultPlan(.fail(.full), at: n, of: [.write])
      disk.onOperation(plan.decide)
      await #expect(throws: BackupError.self) { try await exports(disk).create(order(2), of: store.engine) }
      #expect(plan.fired)
      try checkNothingIsLeft(disk)
    }
    disk.onOperation(nil)
    let info = try await exports(disk).create(order(3), of: store.engine)
    #expect(info.recordings == 6)
    #expect(try SHA256.hash(exports(disk).plain(info, store.engine)) == info.hash)
  }

  @Test("an export that is cancelled at any place of its work ends and leaves nothing")
  func cancelled() async throws {
    let store = try await filled()
    defer { store.engine.close() }
    let disk = ForgetfulDisk(seed: 1)
    let asked = Lock(0)
    var wanted = order(1)
    wanted.isCancelled = {
      asked.with { $0 += 1 }
      return false
    }
    _ = try await exports(ForgetfulDisk(seed: 1)).create(wanted, of: store.engine)
    let count = asked.with { $0 }
    #expect(count > 20)
    for last in stride(from: 0, to: count, by: count / 12) {
      asked.with { $0 = 0 }
      wanted.isCancelled = {
        asked.with {
          $0 += 1
          return $0 > last
        }
      }
      await #expect(throws: CancellationError.self) { try await exports(disk).create(wanted, of: store.engine) }
      try checkNothingIsLeft(disk)
    }
  }

  @Test("more exports than may run at a time end all, whole and with the same content")
  func together() async throws {
    let store = try await filled()
    defer { store.engine.close() }
    let disk = ForgetfulDisk(seed: 1)
    try await withThrowingTaskGroup(of: ExportInfo.self) { group in
      for id in 1...5 { group.addTask { try await exports(disk).create(order(UInt128(id)), of: store.engine) } }
      for try await info in group {
        #expect(try SHA256.hash(exports(disk).plain(info, store.engine)) == info.hash)
      }
    }
    #expect(try await exports(disk).list().count == 5)
    let report = try Verify.run("/archive", disk: disk)
    #expect(report.findings.isEmpty, "\(report.findings)")
  }
}
