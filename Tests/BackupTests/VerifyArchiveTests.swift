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

/// Verifications of a part of an archive, of all of it, of every promised moment; and single recordings out of it.
@Suite struct VerifyArchiveTests {
  private let account = AccountID(bits: 0xA)

  private struct Prepared {
    let disk: ForgetfulDisk
    let layout: ArchiveLayout
    let unlock: KeyringUnlock
    let snapshots: [SnapshotID]
    let contents: [String: [UInt8]]
  }

  /// Three snapshots of an account that grew in between; the node is gone afterwards.
  private func prepare() async throws -> Prepared {
    let disk = ForgetfulDisk(seed: 5)
    let store = try TestStore.open(disk, logFileBytes: 256 << 10)
    try await store.makeAccount(account, rows: 400, recordings: 0)
    var (snapshots, contents): ([SnapshotID], [String: [UInt8]]) = ([], [:])
    let archive = store.archive(account)
    for day in 0..<3 {
      for n in 0..<3 {
        let (key, seed) = ("calls/\(day)/\(n) ü?%.wav", UInt64(day * 10 + n))
        try await store.addRecording(account, key, bytes: 90_000 + n * 260_000, seed: seed)
        contents[key] = TestStore.content(90_000 + n * 260_000, seed: seed)
      }
      _ = try await store.engine.write(account) {
        try $0.execute("UPDATE calls SET body = body || '!' WHERE id % 50 = 0")
      }
      let info = try await archive.createSnapshot(of: store.engine, kind: .daily)
      snapshots.append(info.id)
      try await archive.archiveLog(of: store.engine)
    }
    let unlock = KeyringUnlock.accountKey(try store.engine.keyring(account).accountKey)
    store.engine.close()
    return Prepared(
      disk: disk, layout: ArchiveLayout(root: "/archive", account: account), unlock: unlock, snapshots: snapshots,
      contents: contents)
  }

  private func run(_ prepared: Prepared, at now: UnixMicroseconds = 1, _ change: (inout VerifyOrder) -> Void = { _ in })
    throws -> VerifyReport
  {
    var order = VerifyOrder()
    order.which = .all
    change(&order)
    return try VerifyArchive(disk: prepared.disk, layout: prepared.layout, order).run(
      unlockedBy: prepared.unlock, now: now)
  }

  @Test("all snapshots are read with each chunk once; one of them, or the newest, with its own")
  func whole() async throws {
    let prepared = try await prepare()
    let all = try run(prepared)
    let summary = try #require(all.summaries.first)
    #expect(all.findings.isEmpty && summary.isComplete && summary.isDatabaseProven && summary.snapshots == 3)
    #expect(summary.chunks == summary.chunksAll && summary.fraction == 1 && summary.missProbability == 0)
    let index = ArchiveIndex(disk: prepared.disk, layout: prepared.layout)
    try index.refresh()
    #expect(summary.chunks == index.chunks)
    let newest = try #require(run(prepared) { $0.which = .newest }.summaries.first)
    let first = try #require(run(prepared) { $0.which = .one(prepared.snapshots[0]) }.summaries.first)
    #expect(first.chunks < newest.chunks && newest.chunks < summary.chunks && newest.snapshots == 1)
    #expect(throws: BackupError.self) { try run(prepared) { $0.which = .one(SnapshotID(bits: 1)) } }
  }

  @Test("samples that follow one another cover everything, and say what they may have missed")
  func samples() async throws {
    let prepared = try await prepare()
    let cursor = "\(prepared.layout.directory)/\(VerifyCursor.fileName)"
    var read: UInt64 = 0
    for _ in 0..<5 {
      let summary = try #require(
        run(prepared) {
          $0.sample = 0.2
          $0.cursor = cursor
        }.summaries.first)
      #expect(
        summary.chunks < summary.chunksAll && !summary.isDatabaseProven && summary.chunksDecoded == summary.chunks)
      #expect(abs(summary.missProbability - (1 - summary.fraction)) < 1e-9)
      read += summary.chunks
      if read >= summary.chunksAll - 1 { #expect(read <= summary.chunksAll + 1) }
    }
    // Five fifths: each chunk once, but for the rounding of the parts.
    let all = try #require(run(prepared).summaries.first).chunksAll
    #expect(read + 1 >= all && read <= all + 1, "\(read) of \(all)")
    for sample in [0, -1, 1.1, .nan] { #expect(throws: BackupError.self) { try run(prepared) { $0.sample = sample } } }
  }

  @Test("a budget stops it; the next run goes on there, and a finished round is noted with its times")
  func budgets() async throws {
    let prepared = try await prepare()
    let cursor = "\(prepared.layout.directory)/\(VerifyCursor.fileName)"
    let all = try #require(run(prepared).summaries.first)
    var (runs, chunks): (Int, UInt64) = (0, 0)
    while true {
      runs += 1
      let summary = try #require(
        run(prepared, at: UnixMicroseconds(100 + runs)) {
          $0.bytes = 1
          $0.cursor = cursor
        }.summaries.first)
      chunks += summary.chunks
      if summary.isComplete {
        #expect(summary.cursor?.lastBegun == 101 && summary.cursor?.lastEnded == UnixMicroseconds(100 + runs))
        break
      }
      #expect(summary.cursor?.chunks == chunks && summary.cursor?.begun == 101)
      try #require(runs < 100)
    }
    #expect(runs > 1 && chunks == all.chunksAll, "\(runs) runs, \(chunks) of \(all.chunksAll)")
    // A cursor that is damaged, or another account's, is as none.
    try prepared.disk.flip(cursor, 40, bit: 1)
    let again = try #require(
      run(prepared) {
        $0.seconds = 3600
        $0.cursor = cursor
      }.summaries.first)
    #expect(again.isComplete && again.chunks == all.chunksAll)
    #expect(try Verify.run(cursor, disk: prepared.disk).isSound)
  }

  @Test("each damaged chunk is named with its file and place, the account, and the snapshots and moments that it costs")
  func damage() async throws {
    let prepared = try await prepare()
    let packs = try prepared.disk.list(prepared.layout.packs).map { "\(prepared.layout.packs)/\($0)" }
    var named = 0
    for pack in packs {
      let size = Int(try prepared.disk.info(pack)!.bytes)
      for offset in stride(from: 100, to: size - 5000, by: max(size / 3, 1)) {
        try prepared.disk.flip(pack, offset, bit: 4)
        let report = try run(prepared)
        let finding = try #require(report.findings.first, "\(pack) at \(offset)")
        #expect(report.findings.count == 1 && finding.path == pack)
        if finding.severity == .mendable {
          #expect(finding.message.contains("another copy of the chunk is whole"))
          try prepared.disk.flip(pack, offset, bit: 4)
          continue
        }
        named += 1
        #expect(finding.offset <= UInt64(offset) && UInt64(offset) < finding.offset + finding.bytes)
        #expect(finding.message.contains("account \(account) loses ") && finding.message.contains("of 3 snapshots"))
        #expect(finding.message.contains("it costs "))
        let part = try run(prepared) { $0.sample = 0.999 }
        #expect(part.findings.count <= 1)
        try prepared.disk.flip(pack, offset, bit: 4)
      }
    }
    #expect(try run(prepared).findings.isEmpty && named > 5)
    for pack in packs { try prepared.disk.remove(pack) }
    let gone = try run(prepared)
    #expect(!gone.isSound && gone.findings.contains { $0.message.contains("is in no pack") })
  }

  @Test("every promised moment is made in memory; a record that does not hold is noticed")
  func moments() async throws {
    let prepared = try await prepare()
    let report = try run(prepared) { $0.moments = true }
    #expect(report.findings.isEmpty && report.summaries.first?.moments == 3, "\(report.findings)")
    #expect(report.restorable.first?.spans.count == 1)
    let log = prepared.layout.log
    let run = try #require(try prepared.disk.list(log).last)
    let size = Int(try prepared.disk.info("\(log)/\(run)")!.bytes)
    try prepared.disk.flip("\(log)/\(run)", size / 2, bit: 0)
    let damaged = try self.run(prepared) { $0.moments = true }
    #expect(damaged.findings.contains { $0.path == "\(log)/\(run)" && $0.message.contains("it costs the moments") })
  }

  @Test("a cancelled verification ends as such")
  func cancelled() async throws {
    let prepared = try await prepare()
    do {
      _ = try run(prepared) { $0.cancel.set() }
      Issue.record("it went on")
    } catch { #expect((error as? BackupError)?.code == .cancelled) }
  }

  // MARK: single recordings

  private static func md5(_ content: [UInt8]) -> [UInt8] {
    let hasher = Hasher(.md5)
    hasher.update(content)
    return hasher.finish()
  }

  private func open(_ recordings: SnapshotRecordings, _ key: String, _ point: SnapshotRecordings.Point, _ p: Prepared)
    throws -> SnapshotRecording
  {
    try recordings.open(key, at: point, p.layout, unlockedBy: p.unlock)
  }

  private func bytes(_ recording: SnapshotRecording, _ range: Range<Int>) throws -> [UInt8] {
    var out: [UInt8] = []
    while out.count < range.count {
      out += try recording.read(from: range.lowerBound + out.count, count: range.count - out.count)
    }
    return out
  }

  @Test("recordings come out of a snapshot byte for byte, whole and in any range; what came later is not there")
  func recordings() async throws {
    let prepared = try await prepare()
    let recordings = SnapshotRecordings(disk: prepared.disk)
    var random = SeededGenerator(seed: 8)
    for (key, content) in prepared.contents {
      let found = try open(recordings, key, .snapshot(prepared.snapshots[2]), prepared)
      #expect(found.bytes == content.count && found.md5 == Self.md5(content) && !found.isErased)
      #expect(try bytes(found, 0..<content.count) == content)
      for _ in 0..<20 {
        let from = random.below(content.count)
        let to = from + 1 + random.below(content.count - from)
        #expect(try bytes(found, from..<to) == Array(content[from..<to]))
      }
    }
    for key in prepared.contents.keys where key.hasPrefix("calls/2/") {
      #expect(throws: BackupError.self) { try open(recordings, key, .snapshot(prepared.snapshots[0]), prepared) }
    }
    let span = try #require(
      try await AccountArchive(disk: prepared.disk, layout: prepared.layout).moments().first)
    let late = try open(recordings, "calls/2/1 ü?%.wav", .moment(span.through), prepared)
    #expect(try bytes(late, 0..<late.bytes) == prepared.contents["calls/2/1 ü?%.wav"])
    #expect(throws: BackupError.self) { try open(recordings, "calls/2/1 ü?%.wav", .moment(span.from), prepared) }
  }

  @Test("damage gives an error and never a byte; erasure is noticed although the snapshot is held open")
  func refused() async throws {
    let prepared = try await prepare()
    let recordings = SnapshotRecordings(disk: prepared.disk)
    let point = SnapshotRecordings.Point.snapshot(prepared.snapshots[2])
    var (refusals, given) = (0, 0)
    for pack in try prepared.disk.list(prepared.layout.packs).map({ "\(prepared.layout.packs)/\($0)" }) {
      let size = Int(try prepared.disk.info(pack)!.bytes)
      for offset in stride(from: 1000, to: size - 3000, by: 40_000) {
        try prepared.disk.flip(pack, offset, bit: 1)
        for (key, content) in prepared.contents {
          do {
            let found = try open(SnapshotRecordings(disk: prepared.disk), key, point, prepared)
            #expect(try bytes(found, 0..<content.count) == content)
            given += 1
          } catch {
            #expect((error as? BackupError)?.code == .damaged)
            refusals += 1
          }
        }
        try prepared.disk.flip(pack, offset, bit: 1)
      }
    }
    #expect(refusals > 10 && given > 10)
    let store = try TestStore.open(prepared.disk, logFileBytes: 256 << 10)
    defer { store.engine.close() }
    let key = "calls/1/1 ü?%.wav"
    let before = try open(recordings, key, point, prepared)
    #expect(!before.isErased)
    try store.engine.keyring(account).destroyRecordingKeys([before.id])
    try await store.archive(account).refreshKeyring(from: store.engine)
    #expect(try open(recordings, key, point, prepared).isErased)
    #expect(try !open(recordings, "calls/1/2 ü?%.wav", point, prepared).isErased)
  }
}
