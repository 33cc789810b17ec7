// Restores in place and their undo as jobs of a node, on the real archive.

import Backup
import Base
import Foundation
import Node
import SQLite
import ShardStore
import Testing

@Suite("restores in place of a node")
struct InPlaceJobTests {
  let directory = TemporaryDirectory()

  private func open(_ clock: TestClock) async throws -> NodeService {
    var configuration = NodeConfiguration(directory: directory.path)
    configuration.timers.archiveLogPeriod = .seconds(3600)
    configuration.timers.schedulerInterval = .seconds(3600)
    return try await NodeService.open(configuration, clock: clock)
  }

  private func end(_ node: NodeService, _ id: JobID) async throws -> JobStatus {
    var last: JobStatus?
    for await status in node.jobEvents(id) { last = status }
    return try #require(last)
  }

  private func insert(_ node: NodeService, _ value: Int) async throws {
    _ = try await node.engine.write(node.account(named: "acme").id) { connection in
      try connection.execute("CREATE TABLE IF NOT EXISTS calls (n INTEGER)")
      try connection.execute("INSERT INTO calls VALUES (?)", .integer(Int64(value)))
    }
  }

  private func rows(_ node: NodeService) async throws -> [Int64] {
    try await node.engine.read(node.account(named: "acme").id) { connection in
      try connection.query("SELECT n FROM calls ORDER BY n").compactMap { $0[0].integer }
    }.value
  }

  @Test("back to a moment and, by another process, back again: the job's id is all that it takes; done once by its key")
  func undo() async throws {
    let clock = TestClock()
    var node = try await open(clock)
    _ = try await node.createAccount(name: "acme")
    try await insert(node, 1)
    #expect(try await end(node, node.startSnapshot(account: "acme")).state == .done)
    clock.advance(60)
    try await insert(node, 2)
    let moment = node.now
    clock.advance(60)
    try await insert(node, 3)
    var wish = InPlaceWish(account: "acme", state: .moment(moment), dryRun: true)
    let plan = try await end(node, node.startRestoreInPlace(wish))
    #expect(plan.result["rows_removed"] == "1" && plan.result["changed_pages"] != nil, "\(plan)")
    #expect(plan.diff?.tables.map(\.name) == ["calls"] && plan.result["undo"] == nil)
    #expect(try await rows(node) == [1, 2, 3])

    wish.dryRun = false
    wish.request = Idempotency(key: "one", requestHash: [1])
    let done = try await end(node, node.startRestoreInPlace(wish))
    #expect(done.state == .done && done.result["undo"] == "\(done.id)", "\(done.message)")
    #expect(try await rows(node) == [1, 2])
    try await insert(node, 4)
    await node.close()

    node = try await open(clock)
    #expect(node.job(done.id) == nil && node.account(ofRestore: done.id)?.name == "acme")
    let again = try await end(node, node.startRestoreInPlace(wish))
    #expect(again.result["repeated"] == "true" && again.result["undo"] == "\(done.id)", "\(again)")
    #expect(try await rows(node) == [1, 2, 4])
    let undoPlan = try await end(node, node.startUndo(UndoWish(account: "acme", job: done.id, dryRun: true)))
    #expect(undoPlan.result["later_transactions"] == "1", "\(undoPlan)")
    let undone = try await end(node, node.startUndo(UndoWish(account: "acme", job: done.id)))
    #expect(undone.state == .done && undone.result["undoes"] == "\(done.id)", "\(undone.message)")
    #expect(try await rows(node) == [1, 2, 3])
    let back = try await end(node, node.startUndo(UndoWish(account: "acme", job: undone.id)))
    #expect(back.state == .done, "\(back.message)")
    #expect(try await rows(node) == [1, 2, 4])
    await node.close()
  }

  @Test("the future, an unknown snapshot and an unknown restore are refused with a sentence, and nothing changes")
  func refusals() async throws {
    let clock = TestClock()
    let node = try await open(clock)
    _ = try await node.createAccount(name: "acme")
    try await insert(node, 1)
    #expect(throws: NodeError.self) {
      try node.startRestoreInPlace(InPlaceWish(account: "acme", state: .moment(node.now + 1_000_000)))
    }
    let unknown = try await end(
      node, node.startRestoreInPlace(InPlaceWish(account: "acme", state: .snapshot(SnapshotID(bits: 7)))))
    #expect(unknown.failure?.code == .notFound, "\(unknown)")
    let undo = try await end(node, node.startUndo(UndoWish(account: "acme", job: JobID(bits: 7))))
    #expect(undo.failure?.code == .notFound, "\(undo)")
    #expect(node.account(ofRestore: JobID(bits: 7)) == nil)
    #expect(try await rows(node) == [1])
    await node.close()
  }
}
