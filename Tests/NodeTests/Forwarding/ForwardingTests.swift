// Any node answers: requests that reach a node which does not hold the account, over real ports and the real fabric.

import AsyncHTTPClient
import Base
import NIOCore
import NIOHTTP1
import Node
import ShardStore
import Testing

extension ClusterTests {
  @Suite("forwarding")
  struct Forwarding {
    let bed: ClusterBed
    init() throws { bed = try ClusterBed() }

    /// Three nodes with their ports, and an account that `b` holds.
    struct World {
      var edges: [Edge]
      var account: AccountRecord
      var key: NewKey
      var a: Edge { edges[0] }
      var b: Edge { edges[1] }
      var c: Edge { edges[2] }

      func close(_ bed: ClusterBed) async {
        for edge in edges { await edge.close() }
        await bed.close(edges.map(\.node))
      }
    }

    func world() async throws -> World {
      let nodes = try await bed.cluster([("a", "eu"), ("b", "us"), ("c", "ap")])
      let account = try await nodes[0].createAccount(name: "acme", AccountOptions(residency: ["us"]))
      let key = try await nodes[0].createKey(account: "acme")
      try await until("everybody knows account and key") {
        nodes.allSatisfy { $0.account(account.id) != nil && $0.s3Key(accessKey: key.accessKey) != nil }
      }
      var edges: [Edge] = []
      for node in nodes { edges.append(try await Edge(node)) }
      return World(edges: edges, account: account, key: key)
    }

    @Test("SQL through any node is answered by the one that leads, and every reply says by whom and where")
    func sql() async throws {
      let world = try await world()
      let token = world.key.token
      let made = try await world.a.sql("acme", "CREATE TABLE t(x)", token: token)
      #expect(made.status == 200 && made.node == "b" && made.position != nil)
      for (i, edge) in world.edges.enumerated() {
        let written = try await edge.sql("acme", "INSERT INTO t VALUES(\(i))", token: token)
        #expect(written.status == 200 && written.node == "b" && written.text.contains(#""affected_row_count":1"#))
        let read = try await edge.sql("acme", "SELECT count(*) FROM t", token: token)
        #expect(read.node == "b" && read.text.contains(#""value":"\#(i + 1)""#))
        #expect(read.position == written.position)
      }
      // An error of the statement is its own; one of the edge too.
      let wrong = try await world.c.sql("acme", "SELECT x FROM nowhere", token: token)
      #expect(wrong.status == 200 && wrong.text.contains("no such table") && wrong.node == "b", "\(wrong)")
      let broken = try await world.c.send(.POST, "/db/acme/v3/pipeline", token: token, "{")
      #expect(broken.status == 400 && broken.text.contains("HRANA_PROTOCOL") && broken.node == "b")
      #expect(world.b.node.metric("komora_forwarded_requests_total") == 0)
      #expect(world.a.node.metric("komora_forwarded_requests_total", "answered") == 3)
      await world.close(bed)
    }

    @Test("a transaction over several requests goes through whichever nodes, and a large result streams")
    func streams() async throws {
      let world = try await world()
      let token = world.key.token
      _ = try await world.a.sql("acme", "CREATE TABLE t(x)", token: token)
      var baton: String?
      for (edge, statement) in [
        (world.a, "BEGIN"), (world.c, "INSERT INTO t VALUES(1)"), (world.b, "INSERT INTO t VALUES(2)"),
      ] {
        let answer = try await edge.pipeline("acme", [statement], baton: baton, closing: false, token: token)
        #expect(answer.status == 200, "\(answer.text)")
        baton = answer.json["baton"] as? String
        #expect(baton != nil)
      }
      let seen = try await world.c.sql("acme", "SELECT count(*) FROM t", token: token)
      #expect(seen.text.contains(#""value":"0""#))
      _ = try await world.c.pipeline("acme", ["COMMIT"], baton: baton, closing: true, token: token)
      let many =
        "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i<40000) SELECT i, hex(zeroblob(60)) FROM n"
      let cursor = try await world.a.send(
        .POST, "/db/acme/v3/cursor", token: token, #"{"batch":{"steps":[{"stmt":{"sql":"\#(many)"}}]}}"#)
      let lines = cursor.text.split(separator: "\n")
      #expect(cursor.status == 200 && lines.count == 40_003 && lines.last?.contains("step_end") == true)
      await world.close(bed)
    }

    @Test("a stream whose node is gone goes on when it holds nothing, and else says that nothing was applied")
    func foreignBaton() async throws {
      let world = try await world()
      let token = world.key.token
      let made = try await world.a.pipeline(
        "acme", ["CREATE TABLE t(x)", "INSERT INTO t VALUES(1)"], baton: nil, closing: false, token: token)
      let light = try #require(made.json["baton"] as? String)
      let opened = try await world.a.pipeline("acme", ["BEGIN"], baton: nil, closing: false, token: token)
      let held = try #require(opened.json["baton"] as? String)
      await world.b.close()
      let again = try await Edge(world.b.node)
      let next = try await world.a.pipeline(
        "acme", ["SELECT last_insert_rowid()"], baton: light, closing: true, token: token)
      #expect(next.status == 200 && next.text.contains(#""value":"1""#), "\(next.text)")
      let lost = try await world.a.pipeline("acme", ["COMMIT"], baton: held, closing: true, token: token)
      #expect(lost.status == 400 && lost.text.contains("NOT_APPLIED_STREAM_EXPIRED"), "\(lost.text)")
      await world.a.close()
      await world.c.close()
      await again.close()
      await bed.close(world.edges.map(\.node))
    }

    @Test("recordings go through any node, large ones in pieces, with the client's own signature")
    func objects() async throws {
      let world = try await world()
      var random = Seeded(seed: 7)
      let large = (0..<3_000_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      let small = Array("hello".utf8)
      let put = try await world.a.object(.PUT, "/acme/calls/large.bin", world.key, large)
      #expect(put.status == 200 && put.node == "b" && put.position != nil, "\(put.text)")
      let waited = try await world.c.object(
        .PUT, "/acme/calls/waited.bin", world.key, fields: [("expect", "100-continue")], large)
      #expect(waited.status == 200 && waited.node == "b", "\(waited.text)")
      #expect(try await world.c.object(.PUT, "/acme/small", world.key, small).status == 200)
      for edge in world.edges {
        #expect(try await edge.object(.GET, "/acme/calls/large.bin", world.key).body == large)
        #expect(try await edge.object(.GET, "/acme/calls/waited.bin", world.key).body == large)
        let part = try await edge.object(
          .GET, "/acme/calls/large.bin", world.key, fields: [("range", "bytes=1000000-1000009")])
        #expect(part.status == 206 && part.body == Array(large[1_000_000..<1_000_010]))
        let head = try await edge.object(.HEAD, "/acme/small", world.key)
        #expect(head.status == 200 && head.headers.first(name: "content-length") == "5" && head.node == "b")
        let list = try await edge.object(.GET, "/acme?list-type=2", world.key)
        #expect(list.text.contains("calls/large.bin") && list.text.contains("small"))
      }
      #expect(try await world.a.object(.DELETE, "/acme/small", world.key).status == 204)
      #expect(try await world.c.object(.GET, "/acme/small", world.key).status == 404)
      // Refused by its signature where it came in: nothing goes anywhere.
      let before = world.a.node.metric("komora_forwarded_requests_total")
      var forged = try world.a.signed(.GET, "/acme/calls/large.bin", world.key)
      forged.url += "x"
      #expect(try await world.a.answer(forged).status == 403)
      #expect(world.a.node.metric("komora_forwarded_requests_total") == before)
      await world.close(bed)
    }

    @Test("a reply that the client no longer reads ends on both nodes")
    func goneClient() async throws {
      let world = try await world()
      let large = [UInt8](repeating: 7, count: 24 << 20)
      #expect(try await world.b.object(.PUT, "/acme/large", world.key, large).status == 200)
      let reading = Task {
        let response = try await world.a.execute(world.a.signed(.GET, "/acme/large", world.key))
        for try await piece in response.body where piece.readableBytes > 0 { return true }
        return false
      }
      #expect(try await reading.value)
      try await until("nothing is under way") { world.a.node.forwardedInFlight == 0 }
      await world.close(bed)
    }

    @Test("what a token does not open is refused where it comes in, alike for every account")
    func refused() async throws {
      let world = try await world()
      let before = world.a.node.metric("komora_forwarded_requests_total")
      _ = try await world.a.node.createAccount(name: "other", AccountOptions(residency: ["ap"]))
      let wrong = try await world.a.sql("acme", "SELECT 1", token: "kt_wrong")
      #expect(wrong.status == 401)
      let foreign = try await world.a.sql("other", "SELECT 1", token: world.key.token)
      let missing = try await world.a.sql("nowhere", "SELECT 1", token: world.key.token)
      #expect(foreign.status == 404 && missing.status == 404 && foreign.text == missing.text)
      #expect(world.a.node.metric("komora_forwarded_requests_total") == before)
      await world.close(bed)
    }

    @Test("jobs and archives of an account are reached through any node")
    func jobs() async throws {
      let world = try await world()
      let started = try await world.a.send(.POST, "/v1/accounts/acme/snapshots", token: world.key.token, "{}")
      #expect(started.status == 202, "\(started.text)")
      let job = try #require(started.json["id"] as? String)
      for edge in world.edges {
        let seen = try await edge.send(.GET, "/v1/jobs/\(job)", token: world.key.token)
        #expect(seen.status == 200 && seen.json["kind"] as? String == "snapshot", "\(seen.text)")
      }
      let list = try await world.c.send(.GET, "/v1/accounts/acme/snapshots", token: world.key.token)
      #expect(list.status == 200 && list.json["silent"] == nil, "\(list.text)")
      var ended = try await world.c.send(.GET, "/v1/jobs/\(job)?wait_ms=0", token: world.key.token)
      while ["waiting", "running"].contains(ended.json["state"] as? String) {
        ended = try await world.c.send(.GET, "/v1/jobs/\(job)?wait_ms=10000", token: world.key.token)
      }
      #expect(ended.json["state"] as? String == "failed", "\(ended.text)")
      for wrong in ["", "-1", "soon", "10001"] {
        #expect(
          try await world.c.send(.GET, "/v1/jobs/\(job)?wait_ms=\(wrong)", token: world.key.token).status == 400)
      }
      let none = String(repeating: "0", count: 32)
      #expect(try await world.c.send(.GET, "/v1/jobs/\(none)?wait_ms=10000", token: world.key.token).status == 404)
      await world.close(bed)
    }

    @Test("one key has one effect, through whichever nodes it is sent")
    func idempotency() async throws {
      let world = try await world()
      let token = world.key.token
      _ = try await world.b.sql("acme", "CREATE TABLE t(x)", token: token)
      var replies: Set<String> = []
      for edge in world.edges {
        let answer = try await edge.sql(
          "acme", "INSERT INTO t VALUES(1)", token: token, fields: [("idempotency-key", "one")])
        #expect(answer.status == 200)
        replies.insert(answer.text)
      }
      #expect(replies.count == 1)
      let count = try await world.c.sql("acme", "SELECT count(*) FROM t", token: token)
      #expect(count.text.contains(#""value":"1""#))
      await world.close(bed)
    }
  }
}
