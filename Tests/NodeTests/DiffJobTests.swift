// Comparisons as jobs of a node, on the real archive.

import Backup
import Base
import Node
import SQLite
import ShardStore
import Testing

@Suite("comparisons of states")
struct DiffJobTests {
  let directory = TemporaryDirectory()

  private func end(_ node: NodeService, _ id: JobID) async throws -> JobStatus {
    var last: JobStatus?
    for await status in node.jobEvents(id) { last = status }
    return try #require(last)
  }

  @Test("a snapshot against the live account: counts in the result, names only for whoever may see the account's data")
  func live() async throws {
    let node = try await NodeService.open(NodeConfiguration(directory: directory.path))
    let account = try await node.createAccount(name: "acme")
    _ = try await node.engine.write(account.id) { connection in
      try connection.executeScript(
        "CREATE TABLE calls (id INTEGER PRIMARY KEY, note); INSERT INTO calls VALUES (1, 'a')")
    }
    let snapshot = try await end(node, node.startSnapshot(account: "acme"))
    let id = try #require(DiffSide(snapshot.result["snapshot"] ?? ""))
    _ = try await node.engine.write(account.id) { connection in
      try connection.executeScript("UPDATE calls SET note = 'b'; INSERT INTO calls VALUES (7, 'c')")
    }
    let job = try await end(node, node.startDiff(account: "acme", DiffRequest(from: id, to: .live, listed: 5)))
    #expect(job.state == .done, "\(job.message)")
    #expect(job.result["rows_changed"] == "1" && job.result["rows_added"] == "1" && job.result["identical"] == "false")
    #expect(job.result["to"] == "live" && job.result["from_position"] == snapshot.result["position"])
    #expect(job.diff?.listedRows.map(\.key) == [["1"], ["7"]])
    #expect(job.withoutData.diff == nil && job.withoutData.result == job.result)
    let same = try await end(node, node.startDiff(account: "acme", DiffRequest(from: id, to: id)))
    #expect(same.result["identical"] == "true" && same.result["to_created_at"] != nil)
    await node.close()
  }

  @Test("what cannot be compared is refused with a reason")
  func refused() async throws {
    let node = try await NodeService.open(NodeConfiguration(directory: directory.path))
    let account = try await node.createAccount(name: "acme")
    let missing = try await end(
      node, node.startDiff(account: "acme", DiffRequest(from: .snapshot(SnapshotID(bits: 5)), to: .live)))
    #expect(missing.failure?.code == .notFound)
    #expect { try node.startDiff(account: "nobody", DiffRequest(from: .live, to: .live)) } throws: {
      ($0 as? NodeError)?.code == .notFound
    }
    try await node.deleteAccount(named: "acme")
    #expect { try node.startDiff(account: "acme", DiffRequest(from: .live, to: .live)) } throws: {
      ($0 as? NodeError)?.code == .refused
    }
    #expect(!node.engine.accounts().contains(account.id))
    await node.close()
  }
}
