// Snapshots in a cluster: they lie where they were taken, are found and used through any node, and what is restored
// becomes an account like any other.

import Base
import Foundation
import NIOHTTP1
import Node
import ShardStore
import Testing

extension ClusterTests {
  @Suite("archives of a cluster", .timeLimit(.minutes(10)))
  struct Archives {
    let bed: ClusterBed
    init() throws {
      bed = try ClusterBed()
      bed.hasArchives = true
    }

    private func listed(_ edge: Edge, token: String) async throws -> (ids: [String], nodes: [String], silent: [String])
    {
      let answer = try await edge.send(.GET, "/v1/accounts/acme/snapshots", token: token).json
      let snapshots = answer["snapshots"] as? [[String: Any]] ?? []
      return (
        snapshots.compactMap { $0["id"] as? String }, snapshots.compactMap { $0["node"] as? String },
        answer["silent"] as? [String] ?? []
      )
    }

    @Test("snapshots of two primaries are listed and restored through any node; a node that is down is named")
    func anywhere() async throws {
      let nodes = try await bed.cluster(Shards.three)
      let id = try await nodes[0].createAccount(name: "acme", AccountOptions(home: "eu")).id
      let token = try await nodes[0].createAdminToken(name: "test", scopes: [.all], validFor: .seconds(600)).token
      try await until("everybody knows account and token") {
        nodes.allSatisfy { $0.account(id) != nil && $0.authenticate(bearer: token) != nil }
      }
      var edges: [Edge] = []
      for node in nodes { edges.append(try await Edge(node)) }
      try await Shards.write(nodes, id, "CREATE TABLE t (n INTEGER)")
      try await Shards.write(nodes, id, "INSERT INTO t VALUES (1)")
      for n in 0..<2 {
        let leader = try await Shards.write(nodes, id, "INSERT INTO t VALUES (\(n + 2))")
        let started = try await edges[2].send(.POST, "/v1/accounts/acme/snapshots", token: token, "{}")
        let job = try await edges[1].end(started, token: token)
        #expect(job["state"] as? String == "done", "\(job)")
        if n == 0 { try await leader.handOver(id, to: nodes.first { $0.nodeID != leader.nodeID }!.nodeID) }
      }
      var ids: [String] = []
      for edge in edges {
        let found = try await listed(edge, token: token)
        #expect(found.ids.count == 2 && Set(found.nodes).count == 2 && found.silent.isEmpty, "\(found)")
        ids = found.ids
      }
      // The older one lies on one node only, so at least two of these are passed on.
      for (i, edge) in edges.enumerated() {
        let started = try await edge.send(
          .POST, "/v1/restores", token: token, #"{"account":"acme","snapshot":"\#(ids[0])","as":"acme-\#(i)"}"#)
        #expect(started.status == 202, "\(started.text)")
        let job = try await edge.end(started, token: token)
        #expect(job["state"] as? String == "done", "\(job)")
        try await until("it is known") { nodes.allSatisfy { (try? $0.account(named: "acme-\(i)"))?.isActive == true } }
        let back = try nodes[0].account(named: "acme-\(i)").id
        let leader = try await Shards.write(nodes, back, "INSERT INTO t VALUES (100)")
        #expect(try await Shards.rows(leader, back, from: .primary) == [1, 2, 100])
        // At once, or as soon as the caretaker sees that it may have more.
        try await until("it survives a region") {
          try await nodes[0].status(ofAccount: "acme-\(i)").record.survives == .region
        }
      }
      let newest = try await edges[0].send(
        .POST, "/v1/restores", token: token, #"{"account":"acme","latest":true,"as":"newest","dry_run":true}"#)
      let plan = try await edges[0].end(newest, token: token)
      #expect((plan["result"] as? [String: Any])?["snapshot"] as? String == ids[1], "\(plan)")
      let unknown = try await edges[0].send(
        .POST, "/v1/restores", token: token,
        #"{"account":"acme","snapshot":"00000000000000000000000000000001","as":"other"}"#)
      #expect(unknown.status == 404)

      // Without one of them, nobody can say which snapshot is the newest.
      await edges[2].close()
      await nodes[2].close(saysGoodbye: false)
      let found = try await listed(edges[0], token: token)
      #expect(found.silent == ["c"], "\(found)")
      let refused = try await edges[0].send(
        .POST, "/v1/restores", token: token, #"{"account":"acme","latest":true,"as":"other"}"#)
      #expect(refused.status == 503 && refused.text.contains("c does not answer"), "\(refused.text)")
      for edge in edges.dropLast() { await edge.close() }
      await bed.close(Array(nodes.dropLast()))
    }

    @Test("a node that answers with a refusal, or with too much, is not called silent: what it said is shown")
    func refusing() async throws {
      let nodes = try await bed.cluster([("a", "eu"), ("b", "us")])
      let id = try await nodes[0].createAccount(name: "acme", AccountOptions(home: "eu")).id
      let token = try await nodes[0].createAdminToken(name: "test", scopes: [.all], validFor: .seconds(600)).token
      try await until("everybody knows account and token") {
        nodes.allSatisfy { $0.account(id) != nil && $0.authenticate(bearer: token) != nil }
      }
      let edge = try await Edge(nodes[0])
      func refusal(_ said: String, status: UInt16 = 200, times: Int = 1) async throws -> String {
        nodes[1].takeForwarded { call in
          try? await call.answer(status: status, [], Array(said.utf8))
          for _ in 1..<times { try? await call.send(Array(said.utf8)) }
          await call.finish()
        }
        let answer = try await edge.send(.GET, "/v1/accounts/acme/snapshots", token: token)
        #expect(answer.status == 200 && answer.json["silent"] == nil, "\(answer.text)")
        let refused = answer.json["refused"] as? [[String: String]] ?? []
        #expect(refused.map { $0["node"] } == ["b"], "\(answer.text)")
        return refused.first?["detail"] ?? ""
      }
      let full = try await refusal(#"{"status":507,"detail":"the disk is full"}"#, status: 507)
      #expect(full == "the disk is full (507)")
      #expect(try await refusal("gone", status: 502).contains("502"))
      #expect(try await refusal("[]").contains("cannot be read"))
      #expect(try await refusal(String(repeating: " ", count: 64 << 10), times: 80).contains("longer than 4 MiB"))
      // And nobody says which snapshot is the newest.
      let restored = try await edge.send(
        .POST, "/v1/restores", token: token, #"{"account":"acme","latest":true,"as":"other"}"#)
      #expect(restored.status == 503 && restored.text.contains("b does not list its archive"), "\(restored.text)")
      await edge.close()
      await bed.close(nodes)
    }
  }
}
