// Recordings that come back: byte for byte, whether their bytes still lie in the account or only in the archive.

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

@Suite struct MergeRecordingTests {
  private func world() async throws -> MergeWorld {
    let world = try await MergeWorld(making: false)
    try await world.store.makeAccount(MergeWorld.account, rows: 10, recordings: 4)
    return world
  }

  private func delete(_ world: MergeWorld, _ keys: String...) async throws {
    _ = try await world.store.engine.write(MergeWorld.account) { connection in
      for key in keys { _ = try RecordingCatalog.delete(connection, key: key, at: 2) }
    }
  }

  /// By key: the hash of its bytes.
  private func recordings(_ world: MergeWorld) async throws -> [String] {
    try await world.content().filter { $0.hasPrefix("calls/") || $0.hasPrefix("дзвінки/") }
  }

  @Test(
    "deleted recordings come back with their rows in one transaction, and go again with undo", arguments: [false, true])
  func comingBack(isCollected: Bool) async throws {
    let world = try await world()
    defer { world.close() }
    try await world.store.addRecording(MergeWorld.account, "дзвінки/ю.wav", bytes: 700_000, seed: 77)
    let all = try await recordings(world)
    let snapshot = try await world.snapshot()
    try await delete(world, "calls/0.wav", "calls/3.wav", "дзвінки/ю.wav")
    try await world.sql("DELETE FROM calls WHERE id < 4")
    if isCollected {
      let freed = try await world.store.engine.collectRecordings(
        MergeWorld.account, grace: .seconds(0), keepDeleted: .seconds(0))
      #expect(freed.recordings == 3)
    }
    let before = try await world.content()
    let position = try world.store.engine.published(MergeWorld.account)
    let report = try await world.run(
      world.request(snapshot, "recording:calls/*", "recording:дз*ю.wav", "row:calls/1..3"))
    #expect(report.recordings.inserted == 3 && report.recordings.equal == 2 && report.inserted == 3)
    #expect(try await recordings(world) == all)
    if !isCollected {
      // One transaction, and nothing but it.
      #expect(try world.store.engine.published(MergeWorld.account).index <= position.index + 3)
    }
    let undone = try await world.undo(report)
    #expect(undone.recordings.removed == 3 && undone.removed == 3)
    #expect(try await world.content() == before)
    // Again, and from a snapshot of the merged account: everything is one with it.
    let second = try await world.run(world.request(snapshot, "recording:*"))
    #expect(second.recordings.inserted == 3)
    let later = try await world.store.archive(MergeWorld.account).createSnapshot(of: world.store.engine, kind: .manual)
    #expect(later.state == .proven && later.recordings == 5)
  }

  @Test("a recording that was overwritten or described otherwise is a conflict, and each policy does as it says")
  func conflicts() async throws {
    let world = try await world()
    defer { world.close() }
    let old = try await recordings(world)
    let snapshot = try await world.snapshot()
    try await world.store.addRecording(MergeWorld.account, "calls/1.wav", bytes: 5_000, seed: 99)
    _ = try await world.store.engine.write(MergeWorld.account) {
      try RecordingCatalog.describe($0, key: "calls/2.wav", contentType: "audio/x", metadata: "{}", at: nil)
    }
    let before = try await world.content()
    let refused = try await world.refused { try await world.run(world.request(snapshot, "recording:calls/*")) }
    #expect(refused.recordings.conflicts == 2 && refused.conflicts.map(\.key) == [["calls/1.wav"], ["calls/2.wav"]])
    let difference = refused.conflicts[1].differences.map { [$0.column, $0.then, $0.now] }
    #expect(difference == [["content_type", "audio/wav", "audio/x"]])
    #expect(try await world.content() == before)
    let kept = try await world.run(world.request(snapshot, "recording:*", policy: .keep))
    #expect(kept.recordings.conflicts == 2)
    #expect(try await world.content() == before)
    let taken = try await world.run(world.request(snapshot, "recording:*", policy: .take))
    #expect(taken.recordings.changed == 2 && taken.recordings.equal == 2)
    #expect(try await recordings(world) == old)
    #expect(try await world.undo(taken).recordings.changed == 2)
    #expect(try await world.content() == before)
    // Overwritten again since: not as the merge left it.
    let again = try await world.run(world.request(snapshot, "recording:*", policy: .take))
    try await world.store.addRecording(MergeWorld.account, "calls/1.wav", bytes: 6_000, seed: 100)
    let conflict = try await world.refused { try await world.undo(again) }
    #expect(conflict.recordings.conflicts == 1)
    #expect(try await world.undo(again, .keep).recordings.changed == 1)
  }

  @Test("an erased recording does not come back and is named")
  func erased() async throws {
    let world = try await world()
    defer { world.close() }
    let snapshot = try await world.snapshot()
    let row = try await world.store.engine.read(MergeWorld.account) { try RecordingCatalog.get($0, key: "calls/1.wav") }
    try await delete(world, "calls/1.wav", "calls/2.wav")
    try world.store.engine.keyring(MergeWorld.account).destroyRecordingKeys([try #require(row.value).id])
    let report = try await world.run(world.request(snapshot, "recording:calls/*"))
    #expect(report.recordings.inserted == 1 && report.recordings.erased == 1 && report.erased == ["calls/1.wav"])
    #expect(try await recordings(world).count == 3)
  }

  @Test("recordings by period, and a moment of the log as the old state")
  func moments() async throws {
    let disk = ForgetfulDisk(seed: 9)
    let world = try await MomentWorld(seed: 5, disk: disk)
    try await world.snapshot()
    for _ in 0..<6 {
      world.clock.advance(microseconds: 3_000_000)
      try await world.writeCalls(4)
      world.clock.advance(microseconds: 3_000_000)
      try await world.upload()
    }
    let (moment, then) = (world.commits.last!.time, world.content)
    world.clock.advance(microseconds: 3_000_000)
    try await world.deleteCalls()
    try await world.deleteRecording()
    world.clock.advance(microseconds: 3_000_000)
    try await world.archive.archiveLog(of: world.store.engine)
    defer { world.store.engine.close() }
    let merge = AccountMerge(
      disk: disk, layout: world.archive.layout, unlockedBy: .keyEncryption(world.store.kek),
      clock: { [clock = world.clock] in clock.unixMicroseconds() })
    let period = "period:\(RFC3339.text(moment - 60_000_000))/\(RFC3339.text(moment + 1))"
    let report = try await merge.run(
      MergeRequest(id: 5, from: .moment(moment), selection: try RowSelection(["table:calls", period])),
      in: world.store.engine)
    #expect(report.recordings.inserted == 1)
    #expect(try await world.store.content(MomentWorld.account) == then)
    _ = try await merge.undo(MergeUndoRequest(merge: 5), in: world.store.engine)
    #expect(try await world.store.content(MomentWorld.account) == world.content)
  }
}
