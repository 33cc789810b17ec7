// Two engines that hold the same account, and the simplest replication between them: everything that one hands to its log
// is stored by the other, and what both have synced is committed. A test may cut the wire.

import Base
import Disk
import Formats
import SQLite
import ShardStore
import Threads

final class ReplicaWire: ReplicaSink {
  struct State {
    var leader: Engine?
    var follower: Engine?
    /// What each has synced, by the wire's end.
    var synced: [Bool: Position] = [:]
    var failures = 0
    var isCut = false
  }
  let state = Lock(State())
  let account: AccountID
  /// What is heard under an account's lock is acted upon elsewhere, in order.
  private let pool = WorkPool(name: "wire", threads: 1)

  init(_ account: AccountID) { self.account = account }

  deinit { pool.stop() }

  func appended(_ account: AccountID, _ records: [SealedRecord]) {
    _ = pool.run {
      let follower = self.state.with { $0.isCut ? nil : $0.follower }
      follower?.store(account, records)
    }
  }
  func synced(_ account: AccountID, _ position: Position) { note(position, isLeader: true) }
  func failed(_ account: AccountID, end: Position) { state.with { $0.failures += 1 } }

  func note(_ position: Position, isLeader: Bool) { _ = pool.run { self.take(position, isLeader: isLeader) } }

  private func take(_ position: Position, isLeader: Bool) {
    let (commit, leader, follower) = state.with { s -> (Position?, Engine?, Engine?) in
      s.synced[isLeader] = position
      guard let a = s.synced[true] else { return (nil, nil, nil) }
      guard s.follower != nil else { return (a, s.leader, nil) }
      guard !s.isCut, let b = s.synced[false] else { return (nil, nil, nil) }
      return (a.index < b.index ? a : b, s.leader, s.follower)
    }
    guard let commit else { return }
    leader?.publish(account, upTo: commit)
    follower?.publish(account, upTo: commit)
  }
}

/// The follower's end of the wire.
final class ReplicaEcho: ReplicaSink {
  let wire: ReplicaWire
  init(_ wire: ReplicaWire) { self.wire = wire }
  func appended(_ account: AccountID, _ records: [SealedRecord]) {}
  func synced(_ account: AccountID, _ position: Position) { wire.note(position, isLeader: false) }
  func failed(_ account: AccountID, end: Position) {}
}

/// Two nodes; the first leads.
struct ReplicaPair {
  let directories = [TemporaryDirectory(), TemporaryDirectory()]
  let wire: ReplicaWire
  let first: Engine
  let second: Engine
  let account: AccountID

  static func configuration(_ directory: String, idleClose: Duration = .seconds(60)) -> EngineConfiguration {
    var configuration = testConfiguration(directory)
    configuration.isReplicated = true
    configuration.checkpointVersions = 40
    configuration.checkpointPause = .zero
    configuration.idleClose = idleClose
    return configuration
  }

  init(_ account: AccountID, idleClose: Duration = .seconds(60)) async throws {
    self.account = account
    wire = ReplicaWire(account)
    let configurations = directories.map { Self.configuration($0.path, idleClose: idleClose) }
    first = try Engine.open(configurations[0], disk: RealDisk(), kek: TestKey())
    second = try Engine.open(configurations[1], disk: RealDisk(), kek: TestKey())
    first.setSink(wire)
    second.setSink(ReplicaEcho(wire))
    wire.state.with { [first] in $0.leader = first }
    try await first.createAccount(account)
    try await first.lead(account, epoch: 1)
    _ = try await first.write(account) {
      try $0.execute("CREATE TABLE t (x INTEGER PRIMARY KEY, y TEXT)")
    }
  }

  /// The second node gets a base, and then everything.
  func attach() async throws {
    let source = try await first.baseSource(account)
    let builder = try await second.beginBase(account)
    var offset: UInt64 = 0
    while offset < source.size {
      // Odd pieces, as a network makes them.
      let bytes = try await source.read(at: offset, count: 50_021)
      try await builder.take(bytes)
      offset += UInt64(bytes.count)
    }
    let position = try await builder.finish()
    let standing = try await second.standing(account)
    guard standing.committed == position else { throw StoreError(.damaged, "the base ends at \(standing.committed)") }
    try await first.pauseWriter(account)
    wire.state.with { [second] in $0.follower = second }
    if let rest = try await first.records(account, from: position.index + 1, bytesMax: 1 << 30), !rest.isEmpty {
      second.store(account, rest)
    } else {
      wire.note(position, isLeader: false)
    }
    first.resumeWriter(account)
  }

  func insert(_ engine: Engine, _ x: Int, bytes: Int = 100) async throws {
    _ = try await engine.write(account) {
      try $0.execute(
        "INSERT INTO t VALUES (?, ?)", .integer(Int64(x)), .text(String(repeating: "\(x % 10)", count: bytes)))
    }
  }

  func rows(_ engine: Engine) async throws -> [Int64] {
    try await engine.read(account, from: .replica) {
      try $0.query("SELECT x FROM t ORDER BY x").compactMap { $0[0].integer }
    }.value
  }

  /// Waits until the engine shows as many rows.
  func waitForRows(_ engine: Engine, _ count: Int) async throws {
    while try await rows(engine).count < count { await Task.yield() }
  }

  func close() {
    first.close()
    second.close()
  }
}
