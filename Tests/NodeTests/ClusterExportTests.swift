// Exports in a cluster: made where the account is led, found, read in ranges and removed through any node.

import Base
import Foundation
import NIOHTTP1
import Node
import OpenSSL
import ShardStore
import Testing

extension ClusterTests {
  @Suite("exports of a cluster", .timeLimit(.minutes(10)))
  struct Exports {
    let bed: ClusterBed
    init() throws {
      bed = try ClusterBed()
      bed.hasArchives = true
    }

    private func list(_ edge: Edge, token: String) async throws -> (exports: [[String: Any]], silent: [String]) {
      let answer = try await edge.send(.GET, "/v1/accounts/acme/exports", token: token).json
      return (answer["exports"] as? [[String: Any]] ?? [], answer["silent"] as? [String] ?? [])
    }

    @Test("an export is found, read range by range and removed through any node; a node that is down is named")
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
      let started = try await edges[2].send(.POST, "/v1/accounts/acme/exports", token: token, "{}")
      #expect(started.status == 202)
      let export = try #require((started.json["result"] as? [String: Any])?["export"] as? String)
      let job = try await edges[1].end(started, token: token)
      #expect(job["state"] as? String == "done", "\(job)")
      var bodies: Set<[UInt8]> = []
      for edge in edges {
        let found = try await list(edge, token: token)
        #expect(found.exports.count == 1 && found.silent.isEmpty, "\(found)")
        let shown = try await edge.send(.GET, "/v1/accounts/acme/exports/\(export)", token: token).json
        let size = try #require(shown["bytes"] as? Int)
        var body: [UInt8] = []
        for range in ["bytes=0-999", "bytes=1000-\(size - 1)"] {
          let piece = try await edge.send(
            .GET, "/v1/accounts/acme/exports/\(export)/content", token: token, fields: [("range", range)])
          #expect(piece.status == 206 && piece.headers.first(name: "etag") == "\"\(shown["sha256"] ?? "")\"")
          body += piece.body
        }
        #expect(body.count == size && SHA256.hash(body).hex == shown["sha256"] as? String)
        bodies.insert(body)
      }
      #expect(bodies.count == 1)
      let holder = try #require(try await list(edges[0], token: token).exports.first?["node"] as? String)
      let others = edges.filter { $0.node.configuration.name != holder }
      let unknown = try await others[0].send(
        .GET, "/v1/accounts/acme/exports/\(ExportID(bits: 5))/content", token: token)
      #expect(unknown.status == 404)
      let removed = try await others[0].send(.DELETE, "/v1/accounts/acme/exports/\(export)", token: token)
      #expect(removed.status == 204, "\(removed.text)")
      for edge in edges {
        #expect(try await list(edge, token: token).exports.isEmpty)
        #expect(try await edge.send(.GET, "/v1/accounts/acme/exports/\(export)", token: token).status == 404)
      }
      // Whoever is down may have what is asked for.
      let last = nodes.firstIndex { $0.configuration.name == "c" }!
      await edges[last].close()
      await nodes[last].close(saysGoodbye: false)
      let asked = try await edges[0].send(.GET, "/v1/accounts/acme/exports/\(export)", token: token)
      #expect(asked.status == 503 && asked.text.contains("c does not answer"), "\(asked.text)")
      #expect(try await list(edges[0], token: token).silent == ["c"])
      for (i, edge) in edges.enumerated() where i != last { await edge.close() }
      await bed.close(nodes.enumerated().filter { $0.offset != last }.map(\.element))
    }
  }
}
