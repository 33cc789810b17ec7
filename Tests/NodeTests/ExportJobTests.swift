// Exports as jobs of a node: known before they begin, ended while they wait or run, gone with their archive.

import Backup
import Base
import Foundation
import Node
import SQLite
import ShardStore
import Testing

@Suite("export jobs")
struct ExportJobTests {
  let directory = TemporaryDirectory()

  private func end(_ node: NodeService, _ id: JobID) async throws -> JobStatus {
    var last: JobStatus?
    for await status in node.jobEvents(id) { last = status }
    return try #require(last)
  }

  @Test("an export outlives a restart of the node, is read back, and ends with the account's archive")
  func life() async throws {
    var node = try await NodeService.open(NodeConfiguration(directory: directory.path))
    let account = try await node.createAccount(name: "acme")
    _ = try await node.engine.write(account.id) { try $0.execute("CREATE TABLE t (x)") }
    let started = try await node.startExport(ExportRequest(account: "acme"))
    #expect(node.job(started.job)?.result["export"] == "\(started.export)")
    let job = try await end(node, started.job)
    #expect(job.state == .done && job.result["export"] == "\(started.export)", "\(job.message)")
    await node.close()
    node = try await NodeService.open(NodeConfiguration(directory: directory.path))
    let (info, file) = try await node.openExport(account: "acme", started.export)
    #expect(try await node.readExport(file, from: 0, count: 4) == [0x28, 0xB5, 0x2F, 0xFD])
    #expect("\(info.bytes)" == job.result["bytes"])
    for request in [
      ExportRequest(account: "acme", recipients: ["age1x"]), ExportRequest(account: "acme", from: 2, to: 1),
    ] {
      await #expect { _ = try await node.startExport(request) } throws: { ($0 as? NodeError)?.code == .invalid }
    }
    await #expect { _ = try await node.startExport(ExportRequest(account: "other")) } throws: {
      ($0 as? NodeError)?.code == .notFound
    }
    try await node.cancelExport(account: "acme", started.export)
    await #expect { try await node.cancelExport(account: "acme", started.export) } throws: {
      ($0 as? NodeError)?.code == .notFound
    }
    #expect(try await node.exports(account: "acme").isEmpty)
    await node.close()
  }

  @Test("one job that waits and one that runs are cancelled with the reason that was given; others go on")
  func cancelled() async throws {
    let registry = JobRegistry(parallel: 1, history: .seconds(60), clock: TestClock())
    let (running, begun) = AsyncStream.makeStream(of: Void.self)
    let first = try registry.start(.export, account: "a", sharing: false, result: ["export": "1"]) { _ in
      begun.yield()
      try await Task.sleep(for: .seconds(3600))
      return [:]
    }
    let second = try registry.start(.export, account: "a", sharing: false) { _ in [:] }
    let third = try registry.start(.export, account: "a", sharing: false) { _ in ["x": "y"] }
    for await _ in running { break }
    await registry.cancel(second, NodeError(.refused, "two"))
    #expect(registry.status(second)?.failure?.message == "two")
    await registry.cancel(first, NodeError(.refused, "one"))
    #expect(registry.status(first)?.failure?.message == "one" && registry.status(first)?.result["export"] == "1")
    for await _ in registry.events(third) {}
    #expect(registry.status(third)?.result == ["x": "y"])
    await registry.cancel(third, NodeError(.refused, "three"))
    #expect(registry.status(third)?.state == .done)
  }
}
