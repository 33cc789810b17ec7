// Requests while an account changes hands: held, sent on, sent again or refused with a word about their effect.

import Base
import NIOHTTP1
import Node
import ShardStore
import Testing
import Threads

extension ClusterTests.Forwarding {
  @Test("a request waits while nobody leads, and is answered as soon as somebody does")
  func held() async throws {
    let world = try await world()
    let routing = ScriptedRouting(world.a.node)
    routing.set { $0.route = .nobody }
    async let answer = world.a.sql("acme", "SELECT 41+1", token: world.key.token)
    try await until("it waits") { routing.waiting == 1 }
    routing.set { $0.route = nil }
    let held = try await answer
    #expect(held.status == 200 && held.node == "b" && held.text.contains(#""value":"42""#))
    #expect(world.a.node.metric("komora_held_requests_total", "led") == 1)

    routing.set { $0.route = .nobody }
    let late = try await world.a.sql(
      "acme", "CREATE TABLE t(x)", token: world.key.token, fields: [("komora-deadline", "50ms")])
    #expect(late.status == 503 && late.text.contains("NOT_APPLIED_UNAVAILABLE"))
    #expect(late.headers.first(name: "retry-after") == "1")
    let problem = try await world.a.send(
      .POST, "/v1/accounts/acme/snapshots", token: world.key.token, fields: [("komora-deadline", "50ms")], "{}")
    #expect(problem.status == 503 && problem.json["applied"] as? Bool == false)
    let object = try await world.a.object(.GET, "/acme/x", world.key, fields: [("komora-deadline", "50ms")])
    #expect(object.status == 503 && object.text.contains("SlowDown"))
    await world.close(bed)
  }

  @Test("a node that no longer leads sends the request on once; two that point at each other give up in time")
  func sentOn() async throws {
    let world = try await world()
    let routing = ScriptedRouting(world.a.node)
    routing.set { $0.route = .node(world.c.node.nodeID) }
    let answer = try await world.a.sql("acme", "CREATE TABLE t(x)", token: world.key.token)
    #expect(answer.status == 200 && answer.node == "b")
    #expect(world.c.node.metric("komora_forwarded_requests_total", "answered") == 1)

    let other = ScriptedRouting(world.c.node)
    other.set { $0.route = .node(world.a.node.nodeID) }
    let lost = try await world.a.sql(
      "acme", "INSERT INTO t VALUES(1)", token: world.key.token, fields: [("komora-deadline", "300ms")])
    #expect(lost.status == 503 && lost.text.contains("NOT_APPLIED"), "\(lost.text)")
    other.set { $0.route = nil }
    let count = try await world.a.sql("acme", "SELECT count(*) FROM t", token: world.key.token)
    #expect(count.text.contains(#""value":"0""#))
    await world.close(bed)
  }

  @Test("a reply that was lost: reads and keyed writes are sent again, others are of unknown effect")
  func lost() async throws {
    let world = try await world()
    let token = world.key.token
    _ = try await world.b.sql("acme", "CREATE TABLE t(x)", token: token)
    // In front of what answers on b: takes each request, and loses as many as it is told.
    let losing = Losing(world.b.node)
    losing.lose(1)
    let read = try await world.a.sql("acme", "SELECT count(*) FROM t", token: token)
    #expect(read.status == 200 && losing.left == 0)
    losing.lose(1)
    let keyed = try await world.a.sql(
      "acme", "INSERT INTO t VALUES(1)", token: token, fields: [("idempotency-key", "k")])
    #expect(keyed.status == 200 && losing.left == 0)
    losing.lose(1)
    let blind = try await world.a.sql("acme", "INSERT INTO t VALUES(2)", token: token)
    #expect(blind.status == 503 && blind.text.contains(#""code":"UNKNOWN""#), "\(blind.text)")
    #expect(blind.headers.first(name: "retry-after") == nil)
    losing.lose(1)
    let problem = try await world.a.send(.POST, "/v1/accounts/acme/snapshots", token: token, "{}")
    #expect(problem.status == 503 && problem.json["applied"] as? String == "unknown")
    losing.lose(1)
    let object = try await world.a.object(.PUT, "/acme/x", world.key, [1, 2, 3])
    #expect(object.status == 500)
    losing.lose(1)
    #expect(try await world.a.object(.GET, "/acme/x", world.key).status == 404)
    // A node that takes nothing, because it starts or stops, has certainly not begun.
    world.b.node.stopTakingForwarded()
    let refused = try await world.a.sql(
      "acme", "INSERT INTO t VALUES(3)", token: token, fields: [("komora-deadline", "200ms")])
    #expect(refused.status == 503 && refused.text.contains("NOT_APPLIED"))
    losing.lose(0)
    let count = try await world.a.sql("acme", "SELECT count(*) FROM t", token: token)
    #expect(count.text.contains(#""value":"1""#), "\(count.text)")
    await world.close(bed)
  }

  @Test("a read whose lease ended behind its pin is answered by who leads then")
  func leaseEnded() async throws {
    let world = try await world()
    let token = world.key.token
    _ = try await world.b.sql("acme", "CREATE TABLE t(x)", token: token)
    // c believes that it leads, has no right to show anything, and then hears who does.
    let routing = ScriptedRouting(world.b.node)
    routing.set {
      $0.mayServe = false
      $0.next = [.here(3)]
    }
    let before = routing.script.asked
    async let answer = world.b.sql("acme", "SELECT count(*) FROM t", token: token)
    try await until("it was asked again") { routing.script.asked > before + 1 }
    routing.set { $0.mayServe = true }
    let read = try await answer
    #expect(read.status == 200 && read.node == "b", "\(read.text)")
    let object = try await world.b.object(.GET, "/acme/none", world.key)
    #expect(object.status == 404)
    await world.close(bed)
  }

  @Test("a standby answers what may be old, and sends on what it may not answer")
  func standby() async throws {
    let world = try await world()
    let token = world.key.token
    _ = try await world.b.sql("acme", "CREATE TABLE t(x)", token: token)
    let written = try await world.b.sql("acme", "INSERT INTO t VALUES(1)", token: token)
    let position = try #require(written.position)
    // b has the data and believes that c leads; c sends what comes to it back to b.
    let routing = ScriptedRouting(world.b.node)
    routing.set {
      $0.route = .node(world.c.node.nodeID)
      $0.hasReplica = true
      $0.freshAsOf = .now
    }
    func ask(_ sql: String, _ field: (String, String)) async throws -> EdgeAnswer {
      try await world.b.sql("acme", sql, token: token, fields: [field, ("komora-deadline", "400ms")])
    }
    let fresh = try await ask("SELECT count(*) FROM t", ("komora-staleness", "60s"))
    #expect(fresh.status == 200 && fresh.node == "b" && fresh.text.contains(#""value":"1""#), "\(fresh.text)")
    let seen = try await ask("SELECT count(*) FROM t", ("komora-at-least", position))
    #expect(seen.status == 200 && seen.position == position)
    #expect(world.b.node.metric("komora_standby_reads_total") == 2)
    #expect(
      try await world.b.object(.GET, "/acme/none", world.key, fields: [("komora-staleness", "60s")]).status == 404)
    // Not fresh enough, not there yet, or a write: all of it goes to the primary, which here sends it back in vain.
    routing.set { $0.freshAsOf = .now - .seconds(10) }
    #expect(try await ask("SELECT 1", ("komora-staleness", "5s")).status == 503)
    routing.set { $0.applied = false }
    #expect(try await ask("SELECT 1", ("komora-at-least", "1.999999")).status == 503)
    routing.set {
      $0.freshAsOf = .now
      $0.applied = true
    }
    #expect(try await ask("INSERT INTO t VALUES(2)", ("komora-staleness", "60s")).status == 503)
    routing.set { $0 = .init() }
    #expect(try await ask("SELECT count(*) FROM t", ("komora-at-least", position)).text.contains(#""value":"1""#))
    #expect(try await ask("SELECT 1", ("komora-at-least", "1.999999")).status == 412)
    #expect(try await ask("SELECT 1", ("komora-at-least", "yesterday")).status == 400)
    #expect(try await ask("SELECT 1", ("komora-staleness", "5")).status == 400)
    await world.close(bed)
  }

  @Test("a node that is gone costs the deadline, and nothing is applied")
  func goneNode() async throws {
    let world = try await world()
    await world.b.close()
    await world.b.node.close()
    let began = ContinuousClock.now
    let answer = try await world.a.sql(
      "acme", "CREATE TABLE t(x)", token: world.key.token, fields: [("komora-deadline", "300ms")])
    #expect(answer.status == 503 && answer.text.contains("NOT_APPLIED"), "\(answer.text)")
    #expect(ContinuousClock.now - began < .seconds(20))
    await world.a.close()
    await world.c.close()
    await bed.close([world.a.node, world.c.node])
  }
}

/// Takes forwarded requests in front of a node's own handler and breaks off as many as it is told, after their heads.
private final class Losing: Sendable {
  private let counts = Lock(0)
  private let node: NodeService
  private let inner: @Sendable (ForwardedCall) async -> Void

  init(_ node: NodeService) {
    self.node = node
    inner = node.forwardedHandler!
  }

  var left: Int { counts.with { $0 } }

  func lose(_ count: Int) {
    counts.with { $0 = count }
    node.takeForwarded { [counts, inner] call in
      let isLost = counts.with { count in
        defer { count = max(count - 1, 0) }
        return count > 0
      }
      if isLost { await call.cancel() } else { await inner(call) }
    }
  }
}
