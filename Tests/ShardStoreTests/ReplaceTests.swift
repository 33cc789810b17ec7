// Another state in place of a database, as the store sees it: replicas, sizes, readers of what was there.

import Base
import Disk
import SQLite
import ShardStore
import Testing
import Threads

@Suite(.timeLimit(.minutes(2))) struct ReplaceTests {
  private func pages(_ view: PinnedView) throws -> [[UInt8]] {
    try (1...view.pageCount).map { try view.readPage(PageNumber($0)) }
  }

  /// The account's pages now; nothing stays pinned.
  private func state(_ engine: Engine, _ id: AccountID) async throws -> [[UInt8]] {
    try pages(try await engine.pin(id))
  }

  /// From the mark to the redo slot. The write comes behind the mark, and is answered when that is published.
  private func checkpoint(_ engine: Engine, _ id: AccountID) async throws {
    _ = engine.stepCheckpoint(id, force: true)
    _ = try await engine.write(id) { try $0.execute("UPDATE t SET y = y WHERE x = 0") }
    while engine.stepCheckpoint(id) {}
  }

  /// Puts the account back to `wanted`.
  private func replace(_ engine: Engine, _ id: AccountID, by wanted: [[UInt8]], _ name: UInt8) async throws -> Replaced
  {
    let view = try await engine.pin(id)
    let live = try pages(view)
    var images: [PageNumber: [UInt8]] = [:]
    for (i, page) in wanted.enumerated() where i >= live.count || live[i] != page { images[PageNumber(i + 1)] = page }
    let entry = ReplacementEntry(id: [UInt8](repeating: name, count: 16), at: 0, before: .start, what: "test")
    return try await engine.replace(
      id,
      Replacement(
        view: view, pageCount: wanted.count, images: images, recordings: [], entry: entry, request: nil)
    ).value
  }

  private func fill(_ pair: ReplicaPair, _ rows: Range<Int>, bytes: Int = 500) async throws {
    for x in rows { try await pair.insert(pair.first, x, bytes: bytes) }
  }

  @Test("a standby gets the same pages, takes over with them and goes on; the root of both is one")
  func standby() async throws {
    let pair = try await ReplicaPair(id(1))
    try await pair.attach()
    try await fill(pair, 0..<100)
    let small = try await state(pair.first, pair.account)
    try await fill(pair, 100..<700)
    let large = try await state(pair.first, pair.account)
    for (round, old) in [small, large, small].enumerated() {
      let replaced = try await replace(pair.first, pair.account, by: old, UInt8(round + 1))
      #expect(replaced.pages > 0 && replaced.entry.before.index > 0)
      var (a, b) = (try await pair.first.pin(pair.account), try await pair.second.pin(pair.account))
      // Marks of checkpoints may come at any time.
      while a.position != b.position {
        await Task.yield()
        (a, b) = (try await pair.first.pin(pair.account), try await pair.second.pin(pair.account))
      }
      #expect(a.pageCount == b.pageCount)
      #expect(try pages(a) == pages(b))
      #expect(try await pair.rows(pair.second) == Array(0..<(round == 1 ? 700 : 100)))
      // The writer goes on from it, by differences to its pages.
      try await pair.insert(pair.first, 1000 + round)
      try await pair.waitForRows(pair.second, round == 1 ? 701 : 101)
    }
    pair.first.stopLeading(pair.account)
    let back = ReplicaWire(pair.account)
    back.state.with { $0.leader = pair.second }
    pair.second.setSink(back)
    try await pair.second.lead(pair.account, epoch: 2)
    try await pair.insert(pair.second, 5000)
    let entry = try await pair.second.read(pair.account) {
      try ReplaceCatalog.entry($0, id: [UInt8](repeating: 2, count: 16))
    }.value
    #expect(entry != nil, "who takes over knows how to undo")
    #expect(try await pair.rows(pair.second).count == 102)
    pair.close()
  }

  @Test("who reads the larger state before goes on reading it, checkpoints or not; a restart has the smaller one")
  func shrinks() async throws {
    let directory = TemporaryDirectory()
    var configuration = testConfiguration(directory.path)
    configuration.checkpointPause = .zero
    // Checkpoints are the test's own, one at a time.
    configuration.maintenancePeriod = .seconds(3600)
    let engine = try Engine.open(configuration, disk: RealDisk(), kek: TestKey())
    let account = id(1)
    try await engine.createAccount(account)
    func insert(_ rows: Range<Int>) async throws {
      _ = try await engine.write(account) { c in
        try c.execute("CREATE TABLE IF NOT EXISTS t (x INTEGER PRIMARY KEY, y TEXT)")
        for x in rows {
          try c.execute("INSERT INTO t VALUES (?, ?)", .integer(Int64(x)), .text(String(repeating: "z", count: 900)))
        }
      }
    }
    try await insert(0..<50)
    let small = try await state(engine, account)
    try await insert(50..<600)
    let large = try await engine.pin(account)
    let content = try pages(large)
    _ = try await replace(engine, account, by: small, 1)
    for _ in 0..<2 {
      try await checkpoint(engine, account)
      #expect(try pages(large) == content)
    }
    // Grown again over what was cut away, with other rows.
    try await insert(1000..<1300)
    try await checkpoint(engine, account)
    #expect(try pages(large) == content)
    let rows = "SELECT count(*), sum(x >= 1000), (SELECT integrity_check FROM pragma_integrity_check) FROM t"
    let expected: [[Value]] = [[.integer(350), .integer(300), .text("ok")]]
    #expect(try await engine.read(account) { try $0.query(rows) }.value == expected)
    engine.close()
    let again = try Engine.open(configuration, disk: RealDisk(), kek: TestKey())
    #expect(try await again.read(account) { try $0.query(rows) }.value == expected)
    // Nobody reads the larger state any more: what was cut away goes from the disk, too.
    for round in 0..<2 {
      _ = try await again.write(account) { try $0.execute("UPDATE t SET y = ? WHERE x < 5", .text("\(round)")) }
      try await checkpoint(again, account)
    }
    let pageCount = try again.pinNow(account).pageCount
    let file = try RealDisk().info("\(directory.path)/accounts/\(account)/pages.kpgs")
    #expect(pageCount < content.count && (file?.bytes ?? .max) <= UInt64((pageCount + 1) * Limits.pageBytes))
    again.close()
  }

  @Test("a view of an earlier opening is no ground for a replacement: nothing changes")
  func stale() async throws {
    let directory = TemporaryDirectory()
    let engine = try Engine.open(testConfiguration(directory.path), disk: RealDisk(), kek: TestKey())
    let (one, other) = (id(1), id(2))
    for account in [one, other] { try await engine.createAccount(account) }
    let view = try await engine.pin(other)
    let before = try engine.published(one)
    let entry = ReplacementEntry(id: [UInt8](repeating: 1, count: 16), at: 0, before: .start, what: "test")
    let replacement = Replacement(
      view: view, pageCount: view.pageCount, images: [:], recordings: [], entry: entry, request: nil)
    await #expect { try await engine.replace(one, replacement) } throws: { ($0 as? StoreError)?.code == .closed }
    #expect(try engine.published(one) == before)
    engine.close()
  }
}
