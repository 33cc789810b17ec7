// The archived log and restores to a moment as a running node does them, on the real archive.

import Base
import Foundation
import Node
import SQLite
import ShardStore
import Testing

import struct Backup.MomentSpan

@Suite("moments of a node")
struct MomentJobTests {
  let directory = TemporaryDirectory()

  private func open(_ clock: TestClock, _ period: Duration = .milliseconds(5)) async throws -> NodeService {
    var configuration = NodeConfiguration(directory: directory.path)
    configuration.timers.archiveLogPeriod = period
    configuration.timers.schedulerInterval = .seconds(3600)
    return try await NodeService.open(configuration, clock: clock)
  }

  private func end(_ node: NodeService, _ id: JobID) async throws -> JobStatus {
    var last: JobStatus?
    for await status in node.jobEvents(id) { last = status }
    return try #require(last)
  }

  private func insert(_ node: NodeService, _ account: AccountID, _ value: Int) async throws {
    _ = try await node.engine.write(account) { connection in
      try connection.execute("CREATE TABLE IF NOT EXISTS calls (n INTEGER)")
      try connection.execute("INSERT INTO calls VALUES (?)", .integer(Int64(value)))
    }
  }

  private func rows(_ node: NodeService, _ name: String) async throws -> [Int64] {
    let id = try node.account(named: name).id
    return try await node.engine.read(id) { connection in
      try connection.query("SELECT n FROM calls ORDER BY n").compactMap { $0[0].integer }
    }.value
  }

  @Test("the loop archives by itself; a moment between two writes comes back, and so does now")
  func moments() async throws {
    let clock = TestClock()
    let node = try await open(clock)
    let account = try await node.createAccount(name: "acme")
    try await insert(node, account.id, 0)
    #expect(try await end(node, node.startSnapshot(account: "acme")).state == .done)
    var moments: [UnixMicroseconds] = []
    for value in 1...3 {
      clock.advance(60)
      try await insert(node, account.id, value)
      clock.advance(1)
      moments.append(node.now)
    }
    // By itself: nobody asks for anything here.
    while try await node.moments(account: "acme").last?.through ?? 0 < moments[2] - 1_000_000 {
      try await Task.sleep(for: .milliseconds(5))
    }
    for (i, moment) in moments.enumerated() {
      let name = "acme-\(i)"
      let job = try await end(node, node.startRestore(RestoreRequest(account: "acme", moment: moment, target: name)))
      #expect(job.state == .done, "\(job.message)")
      #expect(try await rows(node, name) == Array(0...Int64(i + 1)))
    }
    clock.advance(60)
    try await insert(node, account.id, 4)
    let plan = try await end(
      node, node.startRestore(RestoreRequest(account: "acme", moment: node.now, target: "acme-now", dryRun: true)))
    #expect(plan.result["would_create"] == "acme-now" && plan.result["log_records"] != nil, "\(plan)")
    #expect(plan.result["at"] == RFC3339.text(node.now) || plan.result["at"] != nil)
    let now = try await end(
      node, node.startRestore(RestoreRequest(account: "acme", moment: node.now, target: "acme-now")))
    #expect(now.state == .done, "\(now.message)")
    #expect(try await rows(node, "acme-now") == [0, 1, 2, 3, 4])
    await node.close()
  }

  @Test("the future, and a moment before everything, are refused with a sentence")
  func refused() async throws {
    let clock = TestClock()
    let node = try await open(clock)
    let account = try await node.createAccount(name: "acme")
    try await insert(node, account.id, 0)
    let began = node.now
    clock.advance(60)
    try await insert(node, account.id, 1)
    _ = try await end(node, node.startSnapshot(account: "acme"))
    let future = try await end(
      node, node.startRestore(RestoreRequest(account: "acme", moment: node.now + 1, target: "acme-2")))
    #expect(future.failure?.code == .refused && future.message.contains("future"))
    let early = try await end(node, node.startRestore(RestoreRequest(account: "acme", moment: began, target: "acme-2")))
    #expect(early.failure?.code == .notFound && early.message.contains("first moment"), "\(early.message)")
    #expect(node.accounts().count == 1)
    await node.close()
  }

  @Test("of a deleted account the last moment before its deletion comes back")
  func deleted() async throws {
    let clock = TestClock()
    let node = try await open(clock, .seconds(3600))
    let account = try await node.createAccount(name: "acme")
    try await insert(node, account.id, 0)
    _ = try await end(node, node.startSnapshot(account: "acme"))
    clock.advance(60)
    try await insert(node, account.id, 1)
    clock.advance(1)
    let moment = node.now
    try await node.deleteAccount(named: "acme")
    let job = try await end(node, node.startRestore(RestoreRequest(account: "acme", moment: moment, target: "acme-2")))
    #expect(job.state == .done, "\(job.message)")
    #expect(try await rows(node, "acme-2") == [0, 1])
    await node.close()
  }

  @Test("a round looks only at accounts with new records, also after a restart")
  func rounds() async throws {
    let clock = TestClock()
    var node = try await open(clock, .seconds(3600))
    let account = try await node.createAccount(name: "acme")
    _ = try await node.createAccount(name: "idle")
    try await insert(node, account.id, 0)
    _ = try await end(node, node.startSnapshot(account: "acme"))
    _ = await node.archiveLogs()
    #expect(await node.archiveLogs() == 0)
    try await insert(node, account.id, 1)
    #expect(await node.archiveLogs() == 1)
    #expect(await node.archiveLogs() == 0)
    try await insert(node, account.id, 2)
    let moment = node.now + 1_000
    await node.close()
    node = try await open(clock, .seconds(3600))
    #expect(await node.archiveLogs() > 0)
    clock.advance(1)
    let job = try await end(node, node.startRestore(RestoreRequest(account: "acme", moment: moment, target: "acme-2")))
    #expect(job.state == .done, "\(job.message)")
    #expect(try await rows(node, "acme-2") == [0, 1, 2])
    await node.close()
  }
}
