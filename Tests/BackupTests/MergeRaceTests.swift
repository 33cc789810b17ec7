// What changes between the look that a merge takes before and its transaction, and who shares the transaction with it.

import Backup
import Base
import Disk
import SQLite
import ShardStore
import Testing
import Threads

@Suite struct MergeRaceTests {
  private func world() async throws -> (MergeWorld, SnapshotID) {
    let world = try await MergeWorld(making: false)
    try await world.store.makeAccount(MergeWorld.account, rows: 6, recordings: 3)
    let snapshot = try await world.snapshot()
    try await world.sql("DELETE FROM calls WHERE id = 2")
    _ = try await world.store.engine.write(MergeWorld.account) {
      try RecordingCatalog.delete($0, key: "calls/0.wav", at: 2)
    }
    return (world, snapshot)
  }

  /// Runs the merge; `between` is queued for the writer when the merge has looked and not begun to write.
  private func merge(
    _ world: MergeWorld, _ request: MergeRequest, _ between: [@Sendable (Connection) throws -> Void]
  ) async throws -> MergeReport {
    let isFirst = Lock(true)
    let engine = world.store.engine
    return try await world.merge.run(request, in: engine) { _, step in
      let isNow =
        step == "merging"
        && isFirst.with { first in
          defer { first = false }
          return first
        }
      guard isNow else { return }
      for body in between { engine.submit(MergeWorld.account, body) { _ in } }
    }
  }

  @Test("rows and recordings that change between the look and the transaction count as they are inside it")
  func between() async throws {
    let (world, snapshot) = try await world()
    defer { world.close() }
    let request = try world.request(snapshot, "table:calls", "recording:*", policy: .keep)
    let report = try await merge(
      world, request,
      [
        { try $0.execute("DELETE FROM calls WHERE id = 3") },
        { try $0.execute("UPDATE calls SET body = 'later' WHERE id = 4") },
        { _ = try RecordingCatalog.delete($0, key: "calls/1.wav", at: 3) },
      ])
    #expect(report.inserted == 2 && report.equal == 3 && report.conflictCount == 1)
    #expect(report.conflicts.map(\.key) == [["4"]])
    #expect(report.recordings.inserted == 2 && report.recordings.equal == 1)
    #expect(try await world.rows("SELECT count(*) FROM komora_objects") == [[.integer(3)]])
    #expect(try await world.rows("SELECT body FROM calls WHERE id = 4") == [[.text("later")]])
  }

  @Test("a merge that is refused harms nobody who shares its transaction, and nobody's rules are loosened by it")
  func company() async throws {
    let (world, snapshot) = try await world()
    defer { world.close() }
    try await world.sql(
      "CREATE TABLE p (id INTEGER PRIMARY KEY)", "CREATE TABLE c (p INTEGER REFERENCES p)",
      "CREATE TABLE audit (what TEXT)",
      "CREATE TRIGGER came AFTER INSERT ON p BEGIN INSERT INTO audit VALUES ('came'); END",
      "UPDATE calls SET body = 'other' WHERE id = 5")
    let outcomes = Lock<[Bool]>([])
    let engine = world.store.engine
    let request = try world.request(snapshot, "table:calls")
    async let merged = world.refused { try await merge(world, request, []) }
    for i in 1...40 {
      let isDangling = i % 5 == 0
      do {
        _ = try await engine.write(MergeWorld.account) { connection in
          try connection.execute(isDangling ? "INSERT INTO c VALUES (999)" : "INSERT INTO p VALUES (\(i))")
        }
        outcomes.with { $0.append(true) }
      } catch {
        #expect(isDangling)
        outcomes.with { $0.append(false) }
      }
    }
    #expect(try await merged.conflictCount == 1)
    #expect(outcomes.with { $0.count { $0 } } == 32)
    #expect(
      try await world.rows("SELECT (SELECT count(*) FROM p), (SELECT count(*) FROM audit), (SELECT count(*) FROM c)")
        == [[.integer(32), .integer(32), .integer(0)]])
    #expect(try await world.rows("SELECT count(*) FROM calls") == [[.integer(5)]])
  }
}
