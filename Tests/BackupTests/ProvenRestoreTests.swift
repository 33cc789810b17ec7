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

/// Restores of proven snapshots, which carry recordings without decoding them: when they may, and that nothing wrong is ever
/// given back.
@Suite struct ProvenRestoreTests {
  private static let account = AccountID(bits: 0xA)
  private static let copy = AccountID(bits: 0xB)
  private static let recordings = 5

  private struct Prepared {
    var disk: ForgetfulDisk
    let layout: ArchiveLayout
    let unlock: KeyringUnlock
    let snapshot: SnapshotInfo
    let fingerprint: [String]
    /// Of the recording that has most chunks, three of them.
    let largest: RecordingID

    /// The same on a machine that comes up again.
    var again: Prepared {
      var next = self
      next.disk = disk.crash()
      return next
    }

    func opener() throws -> ArchivedAccountKeys {
      try ArchivedAccountKeys.read(disk: disk, layout: layout, unlockedBy: unlock)
    }
  }

  private func prepare() async throws -> Prepared {
    let disk = ForgetfulDisk(seed: 8)
    let store = try TestStore.open(disk, logFileBytes: 256 << 10)
    try await store.makeAccount(Self.account, rows: 300, recordings: Self.recordings)
    let fingerprint = try await store.fingerprint(Self.account)
    let info = try await store.archive(Self.account).createSnapshot(of: store.engine, kind: .manual)
    let key = "calls/\(Self.recordings - 1).wav"
    let row = try await store.engine.read(Self.account) { try RecordingCatalog.get($0, key: key) }.value
    let unlock = KeyringUnlock.accountKey(try store.engine.keyring(Self.account).accountKey)
    store.engine.close()
    disk.stop()
    return Prepared(
      disk: disk, layout: ArchiveLayout(root: "/archive", account: Self.account), unlock: unlock, snapshot: info,
      fingerprint: fingerprint, largest: try #require(row).id)
  }

  private func restore(
    _ store: TestStore, _ prepared: Prepared, _ progress: @escaping @Sendable (Double) -> Void = { _ in }
  ) async throws -> RestoreReport {
    var request = RestoreRequest(
      snapshot: prepared.snapshot.id, as: Self.copy, unlockedBy: prepared.unlock, progress: progress)
    request.control.groupBytes = 256 << 10
    request.control.interval = .seconds(3600)
    return try await store.archive(Self.account).restore(request, into: store.engine)
  }

  /// A restore that has to give everything back.
  private func expectWhole(_ prepared: Prepared, carried: Int, _ what: String) async throws {
    let store = try TestStore.open(prepared.disk, logFileBytes: 256 << 10)
    defer { store.engine.close() }
    let report = try await restore(store, prepared)
    #expect(report.carried == carried, "\(what)")
    #expect(try await store.fingerprint(Self.copy) == prepared.fingerprint, "\(what)")
  }

  // MARK: what is done to an archive

  private func proofPath(_ prepared: Prepared) -> String { prepared.snapshot.path + ArchiveLayout.proofSuffix }

  private func resign(_ prepared: Prepared, _ change: (inout SnapshotProof) -> Void) throws {
    let path = proofPath(prepared)
    var proof = try SnapshotProof.decode(prepared.disk.readAll(path, limit: 4096)).proof
    change(&proof)
    let keys = try prepared.opener().archive
    try prepared.disk.replaceFile(path, proof.encode(signature: keys.sign(proof.signedBytes)))
  }

  /// Puts into the packs, under the name of the largest recording's chunk in the middle, a frame that its key has sealed, for
  /// its place and with other content.
  private func swap(_ prepared: Prepared) throws {
    let (disk, layout, opener) = (prepared.disk, prepared.layout, try prepared.opener())
    let name = opener.archive.name(of: prepared.largest, chunk: 1)
    let content = TestStore.content(Limits.recordingChunkBytes, seed: 4711)
    let frame = RecordingChunkCoder(account: Self.account).seal(
      content, number: 1, isLast: false, key: try #require(opener.key(of: prepared.largest)),
      recording: prepared.largest)
    var swapped = 0
    for file in try disk.list(layout.packs) {
      let id = try #require(PackID(String(file.dropLast(ArchiveLayout.packSuffix.count))))
      let old = try PackFile(disk: disk, layout: layout, id: id)
      let new = try PackWriter(disk: disk, layout: layout, id: id)
      for entry in try old.entries() {
        var bytes = try disk.open("\(layout.packs)/\(file)", .read).read(entry.bytes, at: UInt64(entry.offset))
        if entry.name == name {
          bytes = PackFrameHeader.frame(kind: .recording, coding: .own, originalBytes: 0, name: name, body: frame.bytes)
          swapped += 1
        }
        try new.add(frame: bytes, name: entry.name)
      }
      _ = try new.finish()
    }
    try disk.syncDirectory(layout.packs)
    #expect(swapped == 1)
  }

  // MARK: when a proof counts

  @Test("a proof of these decoders about these frames carries every recording; without one all are decoded")
  func trusted() async throws {
    let prepared = try await prepare()
    try await expectWhole(prepared.again, carried: Self.recordings, "proven")
    let changes: [(String, (Prepared) throws -> Void)] = [
      ("no proof", { try $0.disk.remove(proofPath($0)) }),
      ("another digest", { try resign($0) { $0.frames?.digest[31] ^= 1 } }),
      ("another count", { try resign($0) { $0.frames?.count += 1 } }),
      ("another decoder", { try resign($0) { $0.frames?.decoders.own += 1 } }),
      ("another library", { try resign($0) { $0.frames?.decoders.flac += 1 } }),
      ("a proof of the first version", { try resign($0) { $0.frames = nil } }),
      ("another signature", { try $0.disk.flip(proofPath($0), 200, bit: 1) }),
    ]
    for (what, change) in changes {
      let one = prepared.again
      try change(one)
      try await expectWhole(one, carried: 0, what)
    }
  }

  @Test("recordings erased since the proof stay erased, and the others are carried all the same")
  func erased() async throws {
    let prepared = try await prepare().again
    let store = try TestStore.open(prepared.disk, logFileBytes: 256 << 10)
    defer { store.engine.close() }
    try store.engine.keyring(Self.account).destroyRecordingKeys([prepared.largest])
    try await store.archive(Self.account).refreshKeyring(from: store.engine)
    let report = try await restore(store, prepared)
    #expect(report.erased == [prepared.largest] && report.carried == Self.recordings - 1)
    let lines = try await store.fingerprint(Self.copy).filter { $0.hasPrefix("calls/") }
    #expect(lines == prepared.fingerprint.filter { $0.hasPrefix("calls/") && !$0.hasPrefix("calls/4.wav") })
  }

  // MARK: what is never given back

  @Test("a chunk that opens under its recording's key and is not what its name says never becomes part of an account")
  func swapped() async throws {
    let prepared = try await prepare()
    for (isProven, isKilled) in [(true, false), (false, false), (true, true), (false, true)] {
      var one = prepared.again
      try swap(one)
      if !isProven { try one.disk.remove(proofPath(one)) }
      try one.disk.syncDirectory(one.layout.manifests)
      if isKilled {
        let store = try TestStore.open(one.disk, logFileBytes: 256 << 10)
        let disk = one.disk
        _ = try? await restore(store, one) { if $0 >= 0.95 { disk.stop() } }
        store.engine.close()
        one = one.again
      }
      let store = try TestStore.open(one.disk, logFileBytes: 256 << 10)
      defer { store.engine.close() }
      do {
        _ = try await restore(store, one)
        Issue.record("it was given back")
      } catch { #expect((error as? BackupError)?.code == .damaged, "\(error)") }
      #expect(store.engine.accounts() == [Self.account] && store.engine.unfinishedRestores().isEmpty)
    }
  }

  @Test(
    "it is the digest that notices: a proof about just these frames, which only the account could sign, carries them")
  func digest() async throws {
    let prepared = try await prepare().again
    try swap(prepared)
    let reader = try SnapshotReader.open(
      path: prepared.snapshot.path, disk: prepared.disk, layout: prepared.layout, try prepared.opener())
    var digest = FrameDigest()
    for name in Set(reader.manifest.body.groups) {
      digest.add(try reader.index.read(name) { FrameMark($0, reader.keys) })
    }
    for recording in reader.manifest.body.recordings {
      for number in 0..<recording.chunks {
        let name = reader.keys.name(of: recording.id, chunk: number)
        digest.add(try reader.index.read(name) { FrameMark($0, reader.keys) })
      }
    }
    let frames = digest
    try resign(prepared) {
      $0.frames?.digest = frames.bytes
      $0.frames?.count = frames.count
    }
    let store = try TestStore.open(prepared.disk, logFileBytes: 256 << 10)
    defer { store.engine.close() }
    #expect(try await restore(store, prepared).carried == Self.recordings)
  }

  // MARK: going on

  @Test(
    "killed on the way, a restore goes on, with its proof, without it, and where it lost or got one meanwhile",
    arguments: [0.3, 0.6, 0.9])
  func resumed(part: Double) async throws {
    let prepared = try await prepare()
    let proof = try prepared.again.disk.readAll(proofPath(prepared), limit: 4096)
    for (before, after) in [(true, true), (false, false), (true, false), (false, true)] {
      let one = prepared.again
      if !before { try one.disk.remove(proofPath(one)) }
      let store = try TestStore.open(one.disk, logFileBytes: 256 << 10)
      let disk = one.disk
      _ = try? await restore(store, one) { if $0 >= part { disk.stop() } }
      store.engine.close()
      let next = one.again
      if after { try next.disk.replaceFile(proofPath(next), proof) } else { try? next.disk.remove(proofPath(next)) }
      let last = try TestStore.open(next.disk, logFileBytes: 256 << 10)
      defer { last.engine.close() }
      let report = try await restore(last, next)
      #expect(report.isResumed && (after || report.carried == 0))
      #expect(try await last.fingerprint(Self.copy) == prepared.fingerprint, "\(before), \(after)")
    }
  }
}
