// Snapshot, loss and restore as jobs of a node, on the real archive.

import Backup
import Base
import Foundation
import Node
import SQLite
import ShardStore
import Testing

@Suite("backup jobs")
struct BackupJobTests {
  let directory = TemporaryDirectory()

  private func open() async throws -> NodeService {
    try await NodeService.open(NodeConfiguration(directory: directory.path))
  }

  private func end(_ node: NodeService, _ id: JobID) async throws -> JobStatus {
    var last: JobStatus?
    for await status in node.jobEvents(id) { last = status }
    return try #require(last)
  }

  @Test("an account whose directory is gone comes back from its snapshot, under another name")
  func restore() async throws {
    var node = try await open()
    let account = try await node.createAccount(name: "acme", AccountOptions(timezone: "Europe/Kyiv"))
    _ = try await node.engine.write(account.id) { connection in
      try connection.execute("CREATE TABLE calls (id INTEGER PRIMARY KEY, note TEXT)")
      for i in 0..<100 { try connection.execute("INSERT INTO calls (note) VALUES (?)", .text("call \(i)")) }
    }
    let snapshot = try await end(node, node.startSnapshot(account: "acme"))
    #expect(snapshot.state == .done, "\(snapshot.message)")
    #expect(snapshot.result["state"] == "proven")
    await node.close()
    try FileManager.default.removeItem(atPath: directory.path + "/data/accounts/\(account.id)")

    node = try await open()
    let plan = try await end(node, node.startRestore(RestoreRequest(account: "acme", target: "acme-2", dryRun: true)))
    #expect(plan.result["would_create"] == "acme-2")
    #expect(node.accounts().count == 1)
    let job = try await end(node, node.startRestore(RestoreRequest(account: "acme", target: "acme-2")))
    #expect(job.state == .done, "\(job.message)")
    let restored = try node.account(named: "acme-2")
    #expect(restored.timezone == "Europe/Kyiv")
    let rows = try await node.engine.read(restored.id) { try $0.query("SELECT count(*), max(note) FROM calls") }
    #expect(rows.value == [[.integer(100), .text("call 99")]])
    let id = try #require(SnapshotID(snapshot.result["snapshot"] ?? ""))
    var order = VerifyOrder()
    order.which = .one(id)
    let verified = try await end(node, node.startVerify(account: "acme", order))
    #expect(verified.state == .done, "\(verified.message)")
    await node.close()
  }

  @Test("a restore without a snapshot, or onto a name that is taken, says so")
  func refused() async throws {
    let node = try await open()
    _ = try await node.createAccount(name: "acme")
    let job = try await end(node, node.startRestore(RestoreRequest(account: "acme", target: "acme-2")))
    #expect(job.failure?.code == .notFound)
    #expect(node.accounts().count == 1)
    #expect { try node.startRestore(RestoreRequest(account: "acme", target: "acme")) } throws: {
      ($0 as? NodeError)?.code == .exists
    }
    await node.close()
  }
}
