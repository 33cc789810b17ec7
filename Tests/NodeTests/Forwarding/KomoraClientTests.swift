// Account requests of programs: a real client over the real fabric, against nodes with their own edge.

import Base
import Fabric
import Formats
import KomoraClient
import Node
import OpenSSL
import ShardStore
import Testing
import UVLoop

extension ClusterTests.Forwarding {
  /// A client that knows one node only.
  func connected(
    _ edge: Edge, _ token: String, issuer: Edge? = nil, _ change: (inout KomoraConfiguration) -> Void = { _ in }
  ) async throws -> KomoraClient {
    let certificate = try (issuer ?? edge).node.issueClient(validFor: .seconds(3600))
    #expect(certificate.nodes.count == 3)
    var configuration = KomoraConfiguration(
      nodes: ["127.0.0.1:\(edge.node.configuration.listen.fabric.port)"], authority: certificate.authority,
      certificate: certificate.certificate, key: certificate.key.copy, token: token)
    configuration.deadline = .seconds(20)
    change(&configuration)
    return try await KomoraClient.connect(configuration)
  }

  @Test("a client that knows one node reaches its account wherever it is, with every kind of value")
  func clientValues() async throws {
    let world = try await world()
    for edge in world.edges {
      let client = try await connected(edge, world.key.token, issuer: world.a)
      _ = try await client.execute("acme", "CREATE TABLE IF NOT EXISTS v(a,b,c,d,e)")
      let values: [KomoraValue] = [.null, .integer(.min), .real(0.25), .text("é 'x'"), .blob([0, 255])]
      let put = try await client.execute("acme", "INSERT INTO v VALUES(?,?,?,?,?)", values)
      #expect(put.result.affectedRows == 1 && put.result.lastInsertRowID != nil)
      let read = try await client.execute(
        "acme", "SELECT * FROM v WHERE rowid=?", [.integer(put.result.lastInsertRowID ?? 0)],
        options: KomoraOptions(atLeast: put.position))
      #expect(read.result.rows == [values] && read.result.columns == ["a", "b", "c", "d", "e"])
      #expect(read.position >= put.position)
      await client.close()
    }
    await world.close(bed)
  }

  @Test("many requests are under way at once, and statements sent together are one transaction")
  func clientPipelining() async throws {
    let world = try await world()
    let client = try await connected(world.a, world.key.token)
    _ = try await client.execute("acme", "CREATE TABLE t(x INTEGER PRIMARY KEY)")
    try await withThrowingTaskGroup(of: Void.self) { group in
      for i in 0..<600 {
        group.addTask { _ = try await client.execute("acme", "INSERT INTO t VALUES(?)", [.integer(Int64(i))]) }
      }
      try await group.waitForAll()
    }
    let big =
      "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i<20000) SELECT i, zeroblob(100) FROM n"
    let large = try await client.execute("acme", big)
    #expect(large.result.rows.count == 20_000)
    await #expect(throws: KomoraError.self) {
      try await client.batch(
        "acme", [KomoraStatement("INSERT INTO t VALUES(1000)"), KomoraStatement("INSERT INTO t VALUES(1)")])
    }
    let both = try await client.batch(
      "acme", [KomoraStatement("INSERT INTO t VALUES(1001)"), KomoraStatement("SELECT count(*), max(x) FROM t")])
    #expect(both.results[1].rows == [[.integer(601), .integer(1001)]])
    let reads = try await client.batch("acme", [KomoraStatement("SELECT 1"), KomoraStatement("SELECT 2")])
    #expect(reads.results.map(\.rows) == [[[.integer(1)]], [[.integer(2)]]])
    do {
      _ = try await client.execute("acme", "BEGIN")
      Issue.record("a transaction stayed open")
    } catch {
      #expect(error.code == .refused && error.name == "NOT_APPLIED_SESSION")
    }
    await client.close()
    await #expect { try await client.execute("acme", "SELECT 1") } throws: { ($0 as? KomoraError)?.code == .closed }
    await world.close(bed)
  }

  @Test("the same statement again and again finds the table as it is then, alone and among others")
  func clientRepetition() async throws {
    let world = try await world()
    let client = try await connected(world.a, world.key.token)
    let insert = "INSERT INTO t(x) VALUES(?)"
    for round in 0..<3 {
      if round == 0 { _ = try await client.execute("acme", "CREATE TABLE t(x UNIQUE)") }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for i in 0..<40 { group.addTask { _ = try await client.execute("acme", insert, [.integer(Int64(i))]) } }
        try await group.waitForAll()
      }
      // What a constraint refuses leaves the statement as good as before.
      await #expect { try await client.execute("acme", insert, [.integer(1)]) } throws: {
        ($0 as? KomoraError)?.code == .refused
      }
      await #expect { try await client.execute("acme", insert, []) } throws: { ($0 as? KomoraError)?.code == .refused }
      _ = try await client.execute("acme", "ALTER TABLE t ADD COLUMN y\(round) DEFAULT 1")
      #expect(try await client.execute("acme", insert, [.integer(100)]).result.affectedRows == 1)
      #expect(
        try await client.execute("acme", "SELECT count(*), sum(y\(round)) FROM t").result.rows == [
          [.integer(41), .integer(41)]
        ])
      _ = try await client.execute("acme", "DELETE FROM t WHERE x >= ?", [.integer(0)])
    }
    _ = try await client.execute("acme", "DROP TABLE t")
    await #expect { try await client.execute("acme", insert, [.integer(1)]) } throws: {
      ($0 as? KomoraError)?.code == .refused
    }
    await client.close()
    await world.close(bed)
  }

  @Test("the token decides, at each request; the certificate alone opens nothing")
  func clientRights() async throws {
    let world = try await world()
    await #expect { try await connected(world.a, "kt_wrong") } throws: { ($0 as? KomoraError)?.code == .unauthorized }
    let client = try await connected(world.a, world.key.token)
    _ = try await world.a.node.createAccount(name: "other", AccountOptions(residency: ["us"]))
    for name in ["other", "nowhere"] {
      await #expect { try await client.execute(name, "SELECT 1") } throws: {
        ($0 as? KomoraError)?.code == .notFound
      }
    }
    #expect(try await client.execute("acme", "SELECT 1").result.rows == [[.integer(1)]])
    try await world.b.node.revokeKey(account: "acme", accessKey: world.key.accessKey)
    try await until("the revocation holds everywhere") {
      world.edges.allSatisfy { $0.node.authenticate(bearer: world.key.token) == nil }
    }
    await #expect { try await client.execute("acme", "SELECT 1") } throws: {
      ($0 as? KomoraError)?.code == .unauthorized
    }
    await client.close()
    await world.close(bed)
  }

  @Test("a client's certificate may ask for account requests and nothing else")
  func clientMethods() async throws {
    let world = try await world()
    let certificate = try world.a.node.issueClient(validFor: .seconds(600))
    let loop = UVLoop(name: "stranger")
    let endpoint = try FabricEndpoint(
      FabricConfiguration(
        address: try #require(SocketAddress("127.0.0.1:0")),
        credentials: TLSCredentials(
          authorities: [certificate.authority], certificate: certificate.certificate, key: certificate.key),
        datagramKeys: DatagramKeys(primary: 1, SecretBytes([UInt8](repeating: 0, count: 32)))),
      on: loop, service: NoService())
    let address = try #require(SocketAddress(certificate.nodes[0]))
    let id = try await endpoint.identify(address)
    for method: UInt16 in [1, 2, 3, 4, 5, 6, 7, 100, 0xffff] {
      await #expect(throws: FabricError.self) {
        try await endpoint.ask(id, at: address, method: method, [], deadline: .seconds(10))
      }
    }
    let forward = try await endpoint.open(id, at: address, method: 8)
    await #expect { try await forward.receive() } throws: { ($0 as? FabricError)?.code == .refused }
    #expect(throws: NodeError.self) { try world.b.node.issueClient(validFor: .seconds(600)) }
    await endpoint.close()
    await withCheckedContinuation { continuation in
      Task.detached {
        loop.stop()
        continuation.resume()
      }
    }
    await world.close(bed)
  }

  @Test("a key has one effect, also when the line breaks; what certainly was not applied is sent again")
  func clientFailover() async throws {
    let world = try await world()
    let client = try await connected(world.c, world.key.token, issuer: world.a)
    _ = try await client.execute("acme", "CREATE TABLE t(x)")
    let once = KomoraOptions(idempotencyKey: "one")
    let first = try await client.execute("acme", "INSERT INTO t VALUES(1)", options: once)
    let second = try await client.execute("acme", "INSERT INTO t VALUES(1)", options: once)
    #expect(first.result.lastInsertRowID == second.result.lastInsertRowID)
    #expect(try await client.execute("acme", "SELECT count(*) FROM t").result.rows == [[.integer(1)]])

    let routing = ScriptedRouting(world.b.node)
    routing.set { $0.route = .nobody }
    async let held = client.execute("acme", "INSERT INTO t VALUES(2)")
    try await until("it waits") { routing.waiting == 1 }
    routing.set { $0.route = nil }
    #expect(try await held.result.affectedRows == 1)

    routing.set { $0.route = .nobody }
    await #expect {
      try await client.execute("acme", "INSERT INTO t VALUES(3)", options: KomoraOptions(deadline: .milliseconds(200)))
    } throws: { ($0 as? KomoraError).map { [.unavailable, .unknown].contains($0.code) } == true }
    routing.set { $0.route = nil }
    #expect(try await client.execute("acme", "SELECT count(*) FROM t").result.rows == [[.integer(2)]])

    // The node goes; its account has no other replica, so nobody answers.
    await world.b.close()
    await world.b.node.close()
    await #expect {
      try await client.execute("acme", "INSERT INTO t VALUES(4)", options: KomoraOptions(deadline: .milliseconds(500)))
    } throws: { ($0 as? KomoraError)?.code == .unavailable }
    await client.close()
    await world.a.close()
    await world.c.close()
    await bed.close([world.a.node, world.c.node])
  }
}

private struct NoService: FabricService {
  func permits(_ method: UInt16, to peer: X509Identity) -> Bool { false }
  func answer(_ method: UInt16, _ question: [UInt8], from peer: X509Identity) async -> [UInt8]? { nil }
  func heard(_ datagram: [UInt8], from sender: NodeID, at address: SocketAddress) {}
}
