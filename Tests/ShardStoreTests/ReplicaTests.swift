// An account with voters on two nodes, as the store sees it: what replication may rely on.

import Base
import Disk
import Formats
import SQLite
import ShardStore
import Testing
import Threads

@Suite(.timeLimit(.minutes(2))) struct ReplicaTests {
  @Test("a standby shows what the primary wrote, and takes no writes itself")
  func follows() async throws {
    let pair = try await ReplicaPair(id(1))
    try await pair.attach()
    for x in 0..<50 { try await pair.insert(pair.first, x) }
    try await pair.waitForRows(pair.second, 50)
    #expect(try await pair.rows(pair.second) == Array(0..<50))
    await #expect { try await pair.insert(pair.second, 99) } throws: { ($0 as? StoreError)?.code == .moved }
    let a = try await pair.first.standing(pair.account)
    let b = try await pair.second.standing(pair.account)
    #expect(a.committed == b.committed)
    pair.close()
  }

  @Test("a write is not acknowledged, nor seen by a reader, before replication says that it is committed")
  func waits() async throws {
    let pair = try await ReplicaPair(id(1))
    try await pair.attach()
    pair.wire.state.with { $0.isCut = true }
    let answered = Lock(false)
    let write = Task {
      try await pair.insert(pair.first, 1)
      answered.with { $0 = true }
    }
    // Durable here, which is not enough.
    while try await pair.first.standing(pair.account).tail.isEmpty { await Task.yield() }
    #expect(try await pair.rows(pair.first) == [])
    #expect(!answered.with { $0 })
    let tail = try await pair.first.standing(pair.account).tail
    pair.wire.state.with { $0.isCut = false }
    pair.second.store(pair.account, tail)
    try await write.value
    #expect(try await pair.rows(pair.first) == [1])
    pair.close()
  }

  @Test("the follower takes over with everything, and the old primary's tail goes into quarantine")
  func takesOver() async throws {
    let pair = try await ReplicaPair(id(1))
    try await pair.attach()
    for x in 0..<20 { try await pair.insert(pair.first, x) }
    try await pair.waitForRows(pair.second, 20)
    pair.wire.state.with { $0.isCut = true }
    let lost = Task { try await pair.insert(pair.first, 1000) }
    while try await pair.first.standing(pair.account).tail.isEmpty { await Task.yield() }
    pair.first.stopLeading(pair.account)
    let place = try await pair.second.standing(pair.account).committed

    let back = ReplicaWire(pair.account)
    back.state.with { $0.leader = pair.second }
    pair.second.setSink(back)
    try await pair.second.lead(pair.account, epoch: 2)
    for x in 20..<30 { try await pair.insert(pair.second, x) }

    pair.first.setSink(ReplicaEcho(back))
    try await pair.first.cut(pair.account, after: place)
    let rest = try #require(try await pair.second.records(pair.account, from: place.index + 1, bytesMax: 1 << 30))
    pair.first.store(pair.account, rest)
    pair.first.publish(pair.account, upTo: rest.last!.position)
    await #expect { try await lost.value } throws: { ($0 as? StoreError)?.code == .notApplied }
    try await pair.waitForRows(pair.first, 30)
    #expect(try await pair.rows(pair.first) == Array(0..<30))
    #expect(try await pair.first.quarantined(pair.account).count == 1)
    pair.close()
    // Both come back with the same log.
    let again = try Engine.open(ReplicaPair.configuration(pair.directories[0].path), disk: RealDisk(), kek: TestKey())
    let standing = try await again.standing(pair.account)
    #expect(standing.committed.epoch == 2)
    #expect((standing.tail.last?.position ?? standing.committed) == rest.last!.position)
    again.publish(pair.account, upTo: rest.last!.position)
    #expect(try await pair.rows(again) == Array(0..<30))
    #expect(
      try await again.read(pair.account, from: .replica) { try $0.query("PRAGMA integrity_check") }.value == [
        [.text("ok")]
      ])
    again.close()
  }

  @Test("a write whose record the next epoch has is acknowledged by it")
  func survivesTheEpoch() async throws {
    let pair = try await ReplicaPair(id(1))
    try await pair.attach()
    // The follower stores, but its word does not come back.
    pair.second.setSink(ReplicaEcho(ReplicaWire(pair.account)))
    let write = Task { try await pair.insert(pair.first, 7) }
    while try await pair.second.standing(pair.account).tail.isEmpty { await Task.yield() }
    pair.first.stopLeading(pair.account)
    pair.wire.state.with { $0.isCut = true }
    let back = ReplicaWire(pair.account)
    back.state.with { $0.leader = pair.second }
    pair.second.setSink(back)
    try await pair.second.lead(pair.account, epoch: 2)
    try await pair.insert(pair.second, 8)
    let end = try #require(try await pair.first.standing(pair.account).tail.last?.position)
    let rest = try #require(try await pair.second.records(pair.account, from: end.index + 1, bytesMax: 1 << 30))
    pair.first.store(pair.account, rest)
    pair.first.publish(pair.account, upTo: rest.last!.position)
    try await write.value
    try await pair.waitForRows(pair.first, 2)
    #expect(try await pair.rows(pair.first) == [7, 8])
    pair.close()
  }

  @Test("standbys checkpoint behind the primary's marks, close, and open again where they were")
  func checkpoints() async throws {
    let pair = try await ReplicaPair(id(1), idleClose: .milliseconds(50))
    try await pair.attach()
    for round in 0..<6 {
      for x in 0..<40 { try await pair.insert(pair.first, round * 40 + x, bytes: 12_000) }
      try await pair.waitForRows(pair.second, round * 40 + 40)
    }
    let committed = try await pair.second.standing(pair.account).committed
    while pair.second.openShardCount > 0 { await Task.yield() }
    #expect(try await pair.second.standing(pair.account).committed.index >= committed.index)
    try await pair.insert(pair.first, 1000)
    try await pair.waitForRows(pair.second, 241)
    #expect(
      try await pair.second.read(pair.account, from: .replica) { try $0.query("PRAGMA integrity_check") }.value == [
        [.text("ok")]
      ])
    pair.close()
    let again = try Engine.open(ReplicaPair.configuration(pair.directories[1].path), disk: RealDisk(), kek: TestKey())
    let standing = try await again.standing(pair.account)
    again.publish(pair.account, upTo: standing.tail.last?.position ?? standing.committed)
    #expect(try await pair.rows(again).count == 241)
    again.close()
  }

  @Test("an account that the primary closes in the middle of its epoch goes on in it under another key")
  func reopensInItsEpoch() async throws {
    let pair = try await ReplicaPair(id(1), idleClose: .milliseconds(50))
    try await pair.attach()
    try await pair.insert(pair.first, 1)
    while pair.first.openShardCount > 0 { await Task.yield() }
    try await pair.insert(pair.first, 2)
    try await pair.waitForRows(pair.second, 2)
    #expect(try await pair.first.standing(pair.account).committed.epoch == 1)
    pair.close()
  }

  @Test("who waits to lead behind a record that cannot be applied hears it")
  func leadsBehindDamage() async throws {
    let pair = try await ReplicaPair(id(1))
    try await pair.attach()
    pair.wire.state.with { $0.isCut = true }
    let writes = Task {
      for x in 0..<3 { _ = Task { try await pair.insert(pair.first, x, bytes: 3_000_000) } }
    }
    await writes.value
    while try await pair.first.standing(pair.account).tail.count < 3 { await Task.yield() }
    var records = try await pair.first.standing(pair.account).tail
    let last = records.removeLast()
    var frame = last.frame
    frame[frame.count - 1] ^= 1
    pair.second.store(pair.account, records + [SealedRecord(header: last.header, frame: frame)])
    // The records before it take a while, so that this waits for them.
    await #expect { try await pair.second.lead(pair.account, epoch: 2) } throws: {
      ($0 as? StoreError)?.code == .damaged
    }
    pair.close()
  }

  @Test("a pause lets nothing new through, and a resumed writer goes on")
  func pauses() async throws {
    let pair = try await ReplicaPair(id(1))
    try await pair.attach()
    try await pair.first.pauseWriter(pair.account)
    let waiting = Task { try await pair.insert(pair.first, 5) }
    let before = try await pair.first.standing(pair.account)
    #expect(before.tail.isEmpty)
    pair.first.resumeWriter(pair.account)
    try await waiting.value
    try await pair.first.pauseWriter(pair.account)
    let refused = Task { try await pair.insert(pair.first, 6) }
    pair.first.stopLeading(pair.account)
    await #expect { try await refused.value } throws: { ($0 as? StoreError)?.code == .moved }
    pair.close()
  }
}

@Suite(.timeLimit(.minutes(2))) struct ReplicaReadTests {
  @Test("a default read is the primary's, and asks for its leases after it has pinned what it reads")
  func leases() async throws {
    let pair = try await ReplicaPair(id(1))
    try await pair.attach()
    try await pair.insert(pair.first, 1)
    let holds = Lock(true)
    pair.first.setLeaseCheck { _, epoch in epoch == 1 && holds.with { $0 } }
    #expect(try await pair.first.read(pair.account) { try $0.query("SELECT x FROM t") }.value == [[.integer(1)]])
    holds.with { $0 = false }
    for engine in [pair.first, pair.second] {
      await #expect { try await engine.read(pair.account) { _ in } } throws: { ($0 as? StoreError)?.code == .moved }
    }
    // A request to the writer that changes nothing is a read too; one that changes something has its record for a proof.
    await #expect { try await pair.first.write(pair.account) { _ in } } throws: {
      ($0 as? StoreError)?.code == .moved
    }
    // So is one that a constraint refuses: it says what rows there are.
    await #expect { try await pair.insert(pair.first, 1) } throws: { ($0 as? StoreError)?.code == .moved }
    try await pair.insert(pair.first, 2)
    try await pair.waitForRows(pair.second, 2)
    holds.with { $0 = true }
    await #expect { try await pair.insert(pair.first, 1) } throws: { $0 is SQLiteError }
    pair.close()
  }
}

@Suite(.timeLimit(.minutes(2))) struct ReplicatedRecordingTests {
  @Test("a record names the recordings that it makes exist, and a replica knows which of them it lacks")
  func named() async throws {
    let pair = try await ReplicaPair(id(1))
    try await pair.attach()
    pair.wire.state.with { $0.isCut = true }
    let bytes = (0..<600_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let upload = try await pair.first.upload(pair.account)
    try await upload.append(bytes)
    let stored = try await upload.finish()
    let put = Task {
      try await pair.first.write(pair.account) {
        try RecordingCatalog.put($0, key: "a.wav", stored, contentType: "audio/wav", metadata: "{}", at: 1)
      }
    }
    while try await pair.first.standing(pair.account).tail.isEmpty { await Task.yield() }
    let tail = try await pair.first.standing(pair.account).tail
    let names = try #require(tail.first { $0.header.kind == .recordings })
    #expect(names.header.continues)
    #expect(try await pair.second.recordings(namedBy: names) == [stored.id])
    #expect(try await pair.second.missing(pair.account, [stored.id]) == [stored.id])

    let sealed = try await pair.first.sealedRecording(pair.account, stored.id)
    var number = 0
    try await pair.second.install(pair.account, stored.id, key: sealed.key) {
      guard number < sealed.frameBytes.count else { return nil }
      number += 1
      return try await sealed.frame(number - 1)
    }
    #expect(try await pair.second.missing(pair.account, [stored.id]) == [])
    pair.wire.state.with { $0.isCut = false }
    pair.second.store(pair.account, tail)
    _ = try await put.value
    let reader = try await pair.second.recording(pair.account, stored.id)
    var back: [UInt8] = []
    while back.count < reader.size { back += try await reader.read(offset: back.count, count: 1 << 20) }
    #expect(back == bytes)
    pair.close()
  }

  @Test("a base brings the recordings, and a node that has one takes another in its place")
  func inBase() async throws {
    let pair = try await ReplicaPair(id(1))
    let bytes = (0..<900_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
    let upload = try await pair.first.upload(pair.account)
    try await upload.append(bytes)
    let stored = try await upload.finish()
    _ = try await pair.first.write(pair.account) {
      try RecordingCatalog.put($0, key: "b.wav", stored, contentType: "audio/wav", metadata: "{}", at: 1)
    }
    for _ in 0..<2 {
      try await pair.attach()
      let reader = try await pair.second.recording(pair.account, stored.id)
      var back: [UInt8] = []
      while back.count < reader.size { back += try await reader.read(offset: back.count, count: 1 << 20) }
      #expect(back == bytes)
      wait: while true {
        let row = try await pair.second.read(pair.account, from: .replica) {
          try RecordingCatalog.get($0, key: "b.wav")
        }.value
        if row?.id == stored.id { break wait }
        await Task.yield()
      }
      pair.wire.state.with { $0.follower = nil }
    }
    pair.close()
  }
}
