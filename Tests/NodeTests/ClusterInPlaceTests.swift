// Restores in place in a cluster: asked of any node, done by the one that leads, the same on every replica.

import Base
import Foundation
import NIOHTTP1
import Node
import ShardStore
import Testing

extension ClusterTests {
  @Suite("restores in place of a cluster", .timeLimit(.minutes(10)))
  struct InPlace {
    let bed: ClusterBed
    init() throws {
      bed = try ClusterBed()
      bed.hasArchives = true
    }

    @Test("any node passes it on to the leader; every replica has it; it is undone from any node, too")
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
      let leader = try await Shards.write(nodes, id, "INSERT INTO t VALUES (1)")
      let started = try await edges[1].send(.POST, "/v1/accounts/acme/snapshots", token: token, "{}")
      #expect(try await edges[1].end(started, token: token)["state"] as? String == "done")
      try await Shards.write(nodes, id, "INSERT INTO t VALUES (2)")
      let other = try #require(edges.first { $0.node.nodeID != leader.nodeID })
      let asked = try await other.send(
        .POST, "/v1/restores", token: token, #"{"account":"acme","latest":true,"in_place":true}"#)
      #expect(asked.status == 202, "\(asked.text)")
      let job = try await other.end(asked, token: token)
      #expect(job["state"] as? String == "done", "\(job)")
      let result = try #require(job["result"] as? [String: Any])
      let name = try #require(result["undo"] as? String)
      #expect(try await Shards.rows(leader, id, from: .primary) == [1])
      try await Shards.write(nodes, id, "INSERT INTO t VALUES (3)")
      try await until("every replica has it") {
        for node in nodes {
          guard let rows = try? await Shards.rows(node, id, from: .replica), rows == [1, 3] else { return false }
        }
        return true
      }
      let undone = try await other.send(.POST, "/v1/restores/\(name)/undo", token: token, "{}")
      #expect(undone.status == 202, "\(undone.text)")
      let undo = try await other.end(undone, token: token)
      #expect(undo["state"] as? String == "done", "\(undo)")
      #expect((undo["result"] as? [String: Any])?["later_transactions"] as? String == "1", "\(undo)")
      #expect(try await Shards.rows(leader, id, from: .primary) == [1, 2])
      let next = try #require(nodes.first { $0.nodeID != leader.nodeID })
      // Who leads next has no snapshot of its own, and says so.
      try await leader.handOver(id, to: next.nodeID)
      try await Shards.write(nodes, id, "INSERT INTO t VALUES (4)")
      let refused = try await other.send(
        .POST, "/v1/restores", token: token, #"{"account":"acme","latest":true,"in_place":true}"#)
      #expect(refused.status == 409 && refused.text.contains("leads the account"), "\(refused.text)")
      let both = try await other.send(
        .POST, "/v1/restores", token: token, #"{"account":"acme","latest":true,"in_place":true,"as":"acme-2"}"#)
      #expect(both.status == 400, "\(both.text)")
      let nothing = try await other.send(
        .POST, "/v1/restores/\(String(repeating: "0", count: 31))1/undo", token: token, "{}")
      #expect(nothing.status == 404, "\(nothing.text)")
      for edge in edges { await edge.close() }
      await bed.close(nodes)
    }
  }
}
