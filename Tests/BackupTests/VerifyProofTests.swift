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

/// Verifications that rely on a proof: when they may, when not, and that nothing is missed either way.
@Suite struct VerifyProofTests {
  private let account = AccountID(bits: 0xA)

  private struct Prepared {
    let disk: ForgetfulDisk
    let layout: ArchiveLayout
    let unlock: KeyringUnlock
    let snapshots: [SnapshotInfo]

    var store: ManifestStore { ManifestStore(disk: disk, layout: layout) }

    func opener() throws -> ArchivedAccountKeys {
      try ArchivedAccountKeys.read(disk: disk, layout: layout, unlockedBy: unlock)
    }

    func manifest(_ number: Int) throws -> Manifest {
      try store.read(snapshots[number].path, keys: opener().archive)
    }
  }

  /// Two proven snapshots that share most of their chunks.
  private func prepare() async throws -> Prepared {
    let disk = ForgetfulDisk(seed: 5)
    let store = try TestStore.open(disk, logFileBytes: 256 << 10)
    try await store.makeAccount(account, rows: 1500, recordings: 6)
    let archive = store.archive(account)
    let first = try await archive.createSnapshot(of: store.engine, kind: .daily)
    try await store.addRecording(account, "calls/new.wav", bytes: 600_000, seed: 77)
    _ = try await store.engine.write(account) { try $0.execute("UPDATE calls SET body = 'new' WHERE id = 3") }
    let second = try await archive.createSnapshot(of: store.engine, kind: .daily)
    let unlock = KeyringUnlock.accountKey(try store.engine.keyring(account).accountKey)
    store.engine.close()
    return Prepared(
      disk: disk, layout: ArchiveLayout(root: "/archive", account: account), unlock: unlock, snapshots: [first, second])
  }

  private func run(_ prepared: Prepared, _ change: (inout VerifyOrder) -> Void = { _ in }) throws -> VerifyReport {
    var order = VerifyOrder()
    order.which = .all
    change(&order)
    return try VerifyArchive(disk: prepared.disk, layout: prepared.layout, order).run(
      unlockedBy: prepared.unlock, now: 1)
  }

  private func summary(_ prepared: Prepared, _ change: (inout VerifyOrder) -> Void = { _ in }) throws -> VerifySummary {
    let report = try run(prepared, change)
    #expect(report.findings.isEmpty, "\(report.findings)")
    return try #require(report.summaries.first)
  }

  /// That a verification without findings decoded everything, since no proof counts.
  private func expectAllDecoded(_ prepared: Prepared, _ change: (inout VerifyOrder) -> Void = { _ in }) throws {
    let summary = try summary(prepared, change)
    #expect(summary.chunksDecoded == summary.chunks && summary.chunks == summary.chunksAll && summary.chunksAll > 10)
    #expect(summary.chunksProvenEarlier == 0 && summary.provenAt == nil)
    #expect(summary.isDatabaseChecked && summary.isDatabaseProven)
  }

  /// Every pack written anew, with other bytes for frames that `change` gives some for.
  private func repack(_ prepared: Prepared, _ change: (PackFrameHeader) throws -> [UInt8]? = { _ in nil }) throws {
    for name in try prepared.disk.list(prepared.layout.packs) {
      let path = "\(prepared.layout.packs)/\(name)"
      let id = try #require(PackID(String(name.dropLast(ArchiveLayout.packSuffix.count))))
      let old = try PackFile(disk: prepared.disk, layout: prepared.layout, id: id)
      let new = try PackWriter(
        disk: prepared.disk, layout: prepared.layout, id: PackID(bits: id.bits ^ 0xFF << 120))
      for entry in try old.entries().reversed() {
        let frame = try old.frame(entry.name, at: entry.offset, bytes: entry.bytes)
        let bytes = try prepared.disk.open(path, .read).read(entry.bytes, at: UInt64(entry.offset))
        try new.add(frame: try change(frame.header) ?? bytes, name: entry.name)
      }
      _ = try new.finish()
      try prepared.disk.remove(path)
    }
  }

  /// A chunk that opens under `name` and whose content is not what the name says.
  private func lie(_ name: ChunkName, _ prepared: Prepared) throws -> [UInt8] {
    let coder = DatabaseChunkCoder(keys: try prepared.opener().archive)
    return try coder.frame([UInt8](repeating: 7, count: 65_536), name: name)
  }

  @Test("what a proof covers is opened and not decoded, but for a part by chance; --decode and parts decode everything")
  func trusted() async throws {
    let prepared = try await prepare()
    let all = try summary(prepared)
    #expect(all.chunks == all.chunksAll && all.chunksDecoded > 0 && all.chunksDecoded < all.chunks / 2)
    #expect(all.chunksDecoded + all.chunksProvenEarlier == all.chunks)
    #expect(all.provenAt != nil && all.isDatabaseProven && !all.isDatabaseChecked && all.missProbability == 0)
    let one = try summary(prepared) { $0.which = .one(prepared.snapshots[0].id) }
    #expect(one.chunksDecoded < one.chunks && one.chunks < all.chunks)
    try expectAllDecoded(prepared) { $0.decodes = true }
    let part = try summary(prepared) { $0.bytes = 1 << 30 }
    #expect(part.chunksDecoded == part.chunksAll && part.provenAt == nil && !part.isDatabaseProven)
  }

  @Test("every chunk is among those that are decoded all the same, sooner or later")
  func sampling() async throws {
    let prepared = try await prepare()
    let all = try summary(prepared).chunksAll
    var decoded: UInt64 = 0
    // Fewer groups and recordings than 64: each start below the larger count chooses others.
    let starts = UInt64(max(try prepared.manifest(1).body.groups.count, prepared.snapshots[1].recordings))
    for start in 0..<starts { decoded += try summary(prepared) { $0.random = start }.chunksDecoded }
    #expect(decoded >= all && starts < 64)
  }

  @Test("frames that move to other packs, in another order, are the same frames")
  func moved() async throws {
    let prepared = try await prepare()
    try repack(prepared)
    let summary = try summary(prepared)
    #expect(summary.chunksDecoded < summary.chunks && summary.provenAt != nil)
  }

  @Test("a chunk that opens under its name but is another one is found, in the database and in a recording")
  func lies() async throws {
    let database = try await prepare()
    let name = try database.manifest(0).body.groups[2]
    try repack(database) { try $0.name == name ? lie(name, database) : nil }
    for random in 0..<4 {
      for decodes in [false, true] {
        let report = try run(database) { ($0.random, $0.decodes) = (UInt64(random), decodes) }
        let finding = try #require(report.findings.first)
        #expect(report.findings.count == 1 && finding.message.contains("does not open under its name; account"))
        #expect(report.summaries[0].damaged == 1 && report.summaries[0].chunksProvenEarlier == 0)
      }
    }
    let recorded = try await prepare()
    let recording = try #require(try recorded.manifest(0).body.recordings.first { $0.chunks > 1 })
    let opener = try recorded.opener()
    let other = try #require(try recorded.manifest(0).body.recordings.first { $0.id != recording.id && $0.chunks > 1 })
    let names = [recording, other].map { opener.archive.name(of: $0.id, chunk: 0) }
    // Under another's name it does not even open.
    let index = ArchiveIndex(disk: recorded.disk, layout: recorded.layout)
    try index.refresh()
    let foreign = try index.read(names[1])
    try repack(recorded) { header in
      guard header.name == names[0] else { return nil }
      return PackFrameHeader.frame(
        kind: .recording, coding: .own, originalBytes: 0, name: names[0], body: Array(foreign.body))
    }
    let report = try run(recorded)
    #expect(report.findings.count == 1 && report.findings[0].message.contains("loses 2 of 2 snapshots"))
  }

  @Test("a lie that a proof was made of is found by the chunks that are decoded all the same")
  func provenLie() async throws {
    let prepared = try await prepare()
    let manifest = try prepared.manifest(0)
    let name = manifest.body.groups[2]
    let keys = try prepared.opener().archive
    let lie = try lie(name, prepared)
    let index = ArchiveIndex(disk: prepared.disk, layout: prepared.layout)
    try index.refresh()
    var digest = FrameDigest()
    func add(_ name: ChunkName) throws { digest.add(try index.read(name) { FrameMark($0, keys) }) }
    for group in Set(manifest.body.groups) where group != name { try add(group) }
    for recording in manifest.body.recordings {
      for number in 0..<recording.chunks { try add(keys.name(of: recording.id, chunk: number)) }
    }
    digest.add(FrameMark(raw: lie.span.bytes, keys))
    try repack(prepared) { $0.name == name ? lie : nil }
    try resign(prepared, 0) { $0.frames?.digest = digest.bytes }
    let which = VerifyOrder.Which.one(prepared.snapshots[0].id)
    var found = 0
    for start in 0..<UInt64(manifest.body.groups.count) {
      let report = try run(prepared) { ($0.which, $0.random) = (which, start) }
      if report.findings.isEmpty {
        #expect(report.summaries[0].chunksProvenEarlier > 0)
      } else {
        // Then no proof counts, and everything is decoded.
        #expect(report.summaries[0].chunksDecoded == report.summaries[0].chunksAll)
        found += 1
      }
    }
    #expect(found == 1)
  }

  private func resign(_ prepared: Prepared, _ number: Int, _ change: (inout SnapshotProof) -> Void) throws {
    let path = prepared.snapshots[number].path + ArchiveLayout.proofSuffix
    var (proof, _) = try SnapshotProof.decode(prepared.disk.readAll(path, limit: 1000))
    change(&proof)
    let signature = try prepared.opener().archive.sign(proof.signedBytes)
    try prepared.disk.replaceFile(path, proof.encode(signature: signature))
  }

  @Test("without a proof that says which frames, by these decoders, everything is decoded")
  func unbelievable() async throws {
    let prepared = try await prepare()
    let changes: [(inout SnapshotProof) -> Void] = [
      { $0.frames = nil }, { $0.frames?.digest[0] ^= 1 }, { $0.frames?.count += 1 }, { $0.frames?.decoders.own += 1 },
      { $0.frames?.decoders.zstd += 1 }, { $0.frames?.decoders.flac += 1 }, { $0.snapshot = SnapshotID(bits: 9) },
      { $0.account = AccountID(bits: 9) }, { $0.manifestSignature[0] ^= 1 },
    ]
    let paths = prepared.snapshots.map { $0.path + ArchiveLayout.proofSuffix }
    let proofs = try paths.map { try prepared.disk.readAll($0, limit: 1000) }
    for change in changes {
      for number in 0..<2 { try resign(prepared, number, change) }
      try expectAllDecoded(prepared)
      for (path, proof) in zip(paths, proofs) { try prepared.disk.replaceFile(path, proof) }
      #expect(try summary(prepared).chunksProvenEarlier > 0)
    }
    // Each beside the other's manifest.
    for (path, proof) in zip(paths, proofs.reversed()) { try prepared.disk.replaceFile(path, proof) }
    try expectAllDecoded(prepared)
    for path in paths { try prepared.disk.remove(path) }
    try expectAllDecoded(prepared)
    // One that holds covers what it shares with the other.
    try prepared.disk.replaceFile(paths[0], proofs[0])
    let mixed = try summary(prepared)
    #expect(mixed.chunksProvenEarlier > 0 && mixed.chunksDecoded < mixed.chunks && !mixed.isDatabaseChecked)
    try resign(prepared, 0) { $0.frames?.digest[9] ^= 4 }
    try prepared.disk.replaceFile(paths[1], proofs[1])
    let other = try summary(prepared)
    #expect(other.chunksProvenEarlier > 0 && other.isDatabaseProven)
  }

  @Test("each byte of a frame that is flipped is named with its file and place, whatever a proof says")
  func flips() async throws {
    let prepared = try await prepare()
    let index = ArchiveIndex(disk: prepared.disk, layout: prepared.layout)
    try index.refresh()
    let (manifest, keys) = (try prepared.manifest(1), try prepared.opener().archive)
    let names = [
      manifest.body.groups.last!, keys.name(of: manifest.body.recordings.first { $0.bytes < 1000 }!.id, chunk: 0),
    ]
    var tried = 0
    for pack in try prepared.disk.list(prepared.layout.packs) {
      let id = try #require(PackID(String(pack.dropLast(ArchiveLayout.packSuffix.count))))
      let file = try PackFile(disk: prepared.disk, layout: prepared.layout, id: id)
      for entry in try file.entries() where names.contains(entry.name) {
        var places = Array(0..<100) + Array((entry.bytes - 30)..<entry.bytes)
        places += stride(from: 100, to: entry.bytes - 30, by: 997)
        for place in places where place < entry.bytes {
          let offset = entry.offset + place
          try prepared.disk.flip(file.path, offset, bit: place % 8)
          let report = try run(prepared) { $0.which = .newest }
          let finding = try #require(report.findings.first, "byte \(place)")
          #expect(report.findings.count == 1 && finding.path == file.path && finding.offset == UInt64(entry.offset))
          #expect(finding.message.contains("account \(account) loses 1 of 1 snapshots"))
          try prepared.disk.flip(file.path, offset, bit: place % 8)
          tried += 1
        }
      }
    }
    #expect(tried > 200)
    #expect(try summary(prepared) { $0.which = .newest }.chunksProvenEarlier > 0)
  }

  @Test("a chunk that was written again makes its snapshot decode, until it is proven anew")
  func healed() async throws {
    let prepared = try await prepare()
    let name = try prepared.manifest(0).body.groups[1]
    let coder = DatabaseChunkCoder(keys: try prepared.opener().archive)
    let index = ArchiveIndex(disk: prepared.disk, layout: prepared.layout)
    try index.refresh()
    let (header, body) = try index.read(name)
    let pages = try #require(coder.open(header, body: body))
    // The same content, sealed with another nonce.
    try repack(prepared) { try $0.name == name ? coder.frame(pages, name: name) : nil }
    try expectAllDecoded(prepared) { $0.which = .one(prepared.snapshots[0].id) }
    for snapshot in prepared.snapshots {
      let reader = try SnapshotReader.open(
        path: snapshot.path, disk: prepared.disk, layout: prepared.layout, unlockedBy: prepared.unlock)
      let result = try SnapshotProver(reader).run()
      try prepared.store.writeProof(reader.manifest, path: snapshot.path, provenAt: 9, result, reader.keys)
    }
    let again = try summary(prepared)
    #expect(again.chunksProvenEarlier > 0 && again.provenAt == 9)
  }

  @Test("a recording that was erased since the proof makes its snapshots decode, and nothing is damaged")
  func erased() async throws {
    let prepared = try await prepare()
    let store = try TestStore.open(prepared.disk, logFileBytes: 256 << 10)
    let gone = try prepared.manifest(0).body.recordings[0].id
    try store.engine.keyring(account).destroyRecordingKeys([gone])
    try await store.archive(account).refreshKeyring(from: store.engine)
    store.engine.close()
    try expectAllDecoded(prepared)
    #expect(try summary(prepared).erased == 1)
  }

  @Test("offline verification of an archive relies on proofs alike, and decodes everything when asked")
  func offline() async throws {
    let prepared = try await prepare()
    let keys = VerifyKeys.keyEncryption(TestKeyEncryption())
    for decodes in [false, true] {
      let report = try Verify.run("/archive", disk: prepared.disk, keys: keys, decodes: decodes)
      let summary = try #require(report.summaries.first)
      #expect(report.findings.isEmpty && (summary.chunksProvenEarlier == 0) == decodes && summary.isDatabaseProven)
    }
  }
}
