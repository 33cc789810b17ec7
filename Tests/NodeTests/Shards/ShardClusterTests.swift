// Whole nodes, real fabric, real files, real etcd: an account on three nodes is written, read, handed over, and survives
// its primary.

import Base
import Control
import Formats
import Node
import SQLite
import ShardStore
import Testing

extension ClusterTests {
  @Suite("shards of a cluster", .timeLimit(.minutes(10)))
  struct Shards {
    let bed: ClusterBed
    init() throws { bed = try ClusterBed() }

    static let three = [("a", "eu"), ("b", "us"), ("c", "ap")]

    /// Writes at whoever leads the account; gives the node.
    @discardableResult
    static func write(_ nodes: [NodeService], _ account: AccountID, _ sql: String) async throws -> NodeService {
      let end = ContinuousClock.now + .seconds(60)
      while true {
        for node in nodes {
          guard case .here = node.routing.route(account) else { continue }
          do {
            _ = try await node.engine.write(account) { try $0.execute(sql) }
            return node
          } catch let error as StoreError where error.code == .moved {}
        }
        if ContinuousClock.now > end {
          let state = await summaries(nodes, account)
          try #require(Bool(false), "nobody leads: \(state)")
        }
        try await Task.sleep(for: .milliseconds(5))
      }
    }

    static func summaries(_ nodes: [NodeService], _ account: AccountID) async -> String {
      var lines: [String] = []
      for node in nodes { lines.append("\(node.configuration.name): \(await node.shardSummary(account))") }
      return lines.joined(separator: "\n")
    }

    /// A new primary may show what it has as soon as its voters have granted their leases.
    static func rows(_ node: NodeService, _ account: AccountID, from source: ReadSource) async throws -> [Int64] {
      let end = ContinuousClock.now + .seconds(60)
      while true {
        do {
          return try await node.engine.read(account, from: source) { connection in
            try connection.query("SELECT n FROM t ORDER BY n").compactMap { $0[0].integer }
          }.value
        } catch let error as StoreError where error.code == .moved && ContinuousClock.now < end {
          try await Task.sleep(for: .milliseconds(2))
        }
      }
    }

    @Test("an account has a primary and two standbys, which follow it and take over when it is gone")
    func survives() async throws {
      let nodes = try await bed.cluster(Self.three)
      let account = try await nodes[0].createAccount(name: "acme")
      #expect(account.isActive && account.survives == .region, "\(account)")
      let id = account.id
      try await Self.write(nodes, id, "CREATE TABLE t (n INTEGER)")
      for n in 0..<20 { try await Self.write(nodes, id, "INSERT INTO t VALUES (\(n))") }
      let status = try await nodes[1].status(ofAccount: "acme")
      #expect(status.standbys.count == 2 && status.epoch >= 1 && status.position != nil, "\(status)")
      for node in nodes {
        try await until("everybody shows it") { (try? await Self.rows(node, id, from: .replica).count) == 20 }
      }
      let first = try #require(nodes.first { $0.configuration.name == status.primary })
      #expect(try await Self.rows(first, id, from: .primary).count == 20)
      await first.close(saysGoodbye: false)
      let others = nodes.filter { $0.nodeID != first.nodeID }
      let second = try await Self.write(others, id, "INSERT INTO t VALUES (20)")
      #expect(try await Self.rows(second, id, from: .primary) == Array(0...20))
      // The one that was gone catches up.
      let again = try await bed.open(first.configuration)
      try await until("it catches up") { (try? await Self.rows(again, id, from: .replica).count) == 21 }
      await bed.close(others + [again])
    }

    @Test("an account gets the voters that it may have by now, and leaves a node that is drained, while it is written")
    func moves() async throws {
      var nodes = try await bed.cluster([("a", "eu")])
      let id = try await nodes[0].createAccount(name: "acme").id
      #expect(try nodes[0].account(named: "acme").survives == .none)
      try await Self.write(nodes, id, "CREATE TABLE t (n INTEGER)")
      try await Self.write(nodes, id, "INSERT INTO t VALUES (0)")
      for (name, region) in [("b", "us"), ("c", "ap"), ("d", "eu")] {
        let configuration = bed.configuration(name, region)
        _ = try await bed.join(nodes[0], configuration)
        nodes.append(try await bed.open(configuration))
      }
      try await untilAlive(nodes)
      var written: Int64 = 0
      func untilWriting(_ what: String, _ isDone: () async throws -> Bool) async throws {
        try await until(what) {
          written += 1
          try await Self.write(nodes, id, "INSERT INTO t VALUES (\(written))")
          return try await isDone()
        }
      }
      try await untilWriting("it has three voters") {
        let status = try await nodes[0].status(ofAccount: "acme")
        return status.standbys.count == 2 && status.record.survives != .none
      }
      let status = try await nodes[0].status(ofAccount: "acme")
      let leaving = try #require(nodes.first { $0.configuration.name == status.primary })
      _ = try await nodes[0].drain(status.primary, true)
      try await untilWriting("the drained node has nothing of it") {
        let now = try await nodes[0].status(ofAccount: "acme")
        return !(now.standbys + now.learners + [now.primary]).contains(status.primary) && now.standbys.count == 2
      }
      let last = try await Self.write(nodes, id, "INSERT INTO t VALUES (\(written + 1))")
      #expect(last.nodeID != leaving.nodeID)
      #expect(try await Self.rows(last, id, from: .primary) == Array(0...(written + 1)))
      await bed.close(nodes)
    }

    @Test("a node whose replica is damaged says so, and reads that it might have answered go to the leader at once")
    func damagedReplica() async throws {
      let nodes = try await bed.cluster(Self.three)
      let id = try await nodes[0].createAccount(name: "acme").id
      let token = try await nodes[0].createKey(account: "acme").token
      try await Self.write(nodes, id, "CREATE TABLE t (n INTEGER)")
      let leader = try await Self.write(nodes, id, "INSERT INTO t VALUES (1)")
      let follower = try #require(nodes.first { $0.nodeID != leader.nodeID })
      try await until("the follower has it") { (try? await Self.rows(follower, id, from: .replica).count) == 1 }
      #expect(follower.routing.hasReplica(id))
      await follower.close()
      // Its disk knows of a log that reached farther.
      let promises = try PromiseStore(path: follower.configuration.paths.data + "/promises.sqlite") { _ in }
      let promise = try #require(promises.promises.first { $0.account == id })
      let floor = LogPlace(epoch: promise.epoch, index: 1_000_000)
      promises.persist(OwnershipPromise(account: id, epoch: promise.epoch, floor: floor))
      promises.close()
      let again = try await bed.open(follower.configuration)
      // Whether it waits already or comes when the damage is known.
      async let waited = again.routing.waitUntilApplied(id, floor, until: .now + .seconds(3600))
      try await until("the damage is found") { await again.shardSummary(id).contains("damaged") }
      #expect(!again.routing.hasReplica(id) && again.routing.freshAsOf(id) == nil)
      #expect(await waited == false)
      #expect(await again.routing.waitUntilApplied(id, floor, until: .now + .seconds(3600)) == false)
      // On a busy machine another node may lead by now.
      let edge = try await Edge(again)
      var others: [Edge] = []
      for node in nodes where node.nodeID != again.nodeID { others.append(try await Edge(node)) }
      try await until("the node knows the key") { again.authenticate(bearer: token) != nil }
      let far = "\(floor.epoch).\(floor.index)"
      try await until("the leader says that it knows of no such position") {
        try await edge.sql("acme", "SELECT n FROM t", token: token, fields: [("komora-at-least", far)]).status == 412
      }
      try await until("the leader answers what might be old") {
        let old = try await edge.sql("acme", "SELECT n FROM t", token: token, fields: [("komora-staleness", "60s")])
        return old.status == 200 && old.node != again.configuration.name
      }
      #expect(again.metric("komora_standby_reads_total") == 0)
      for edge in others + [edge] { await edge.close() }
      await bed.close(nodes.filter { $0.nodeID != again.nodeID } + [again])
    }

    @Test("other wishes for an account move its replicas while it is written; what cannot be is refused")
    func wishes() async throws {
      let nodes = try await bed.cluster(Self.three)
      // Lines between all nodes are up before the account has peers.
      let other = try await nodes[0].createAccount(name: "other")
      for node in nodes {
        try await Self.write(nodes, other.id, "CREATE TABLE t\(node.configuration.name) (n INTEGER)")
      }
      let account = try await nodes[0].createAccount(name: "acme", AccountOptions(home: "eu", survive: Survival.none))
      let id = account.id
      #expect(account.survives == .none)
      try await Self.write(nodes, id, "CREATE TABLE t (n INTEGER)")
      var written: Int64 = 0
      func untilWriting(_ what: String, _ isDone: (AccountStatus) -> Bool) async throws {
        try await until(what) {
          written += 1
          try await Self.write(nodes, id, "INSERT INTO t VALUES (\(written))")
          return isDone(try await nodes[1].status(ofAccount: "acme"))
        }
      }
      _ = try await nodes[1].changeAccount(named: "acme") { $0.survive = .region }
      try await untilWriting("it survives a region") { $0.record.survives == .region && $0.standbys.count == 2 }
      _ = try await nodes[1].changeAccount(named: "acme") { $0.home = "ap" }
      try await untilWriting("it is led in its new home") { $0.primary == "c" }
      // Too narrow for the goal, until that is given up as well.
      await #expect(
        performing: {
          _ = try await nodes[1].changeAccount(named: "acme") { $0.residency = ["us"] }
        }, throws: hasCode(.refused))
      _ = try await nodes[1].changeAccount(named: "acme") { options in
        (options.residency, options.home, options.survive) = (["us"], "us", Survival.none)
      }
      try await untilWriting("it lies in one region only") {
        $0.primary == "b" && $0.standbys.isEmpty && $0.learners.isEmpty
      }
      #expect(try await Self.rows(nodes[1], id, from: .primary) == Array(1...written))
      await bed.close(nodes)
    }

    @Test("a node that leaves says that it is not ready, leads nothing any more, and still answers")
    func leaving() async throws {
      var configurations = Self.three.map { bed.configuration($0.0, $0.1) }
      for i in configurations.indices { configurations[i].timers.leaveNotice = .milliseconds(1) }
      let nodes = try await bed.cluster(configurations)
      let id = try await nodes[0].createAccount(name: "acme", AccountOptions(home: "eu")).id
      let leader = try await Self.write(nodes, id, "CREATE TABLE t (n INTEGER)")
      #expect(!leader.isLeaving)
      await leader.leave()
      #expect(leader.isLeaving)
      let next = try await Self.write(nodes, id, "INSERT INTO t VALUES (1)")
      #expect(next.nodeID != leader.nodeID)
      try await until("its replica goes on") { (try? await Self.rows(leader, id, from: .replica)) == [1] }
      await bed.close(nodes)
    }

    @Test("a hand-over loses nothing and is done in a moment; writes wait for it")
    func handOver() async throws {
      let nodes = try await bed.cluster(Self.three)
      let account = try await nodes[0].createAccount(name: "acme")
      let id = account.id
      try await Self.write(nodes, id, "CREATE TABLE t (n INTEGER)")
      for round in 0..<3 {
        let from = try await Self.write(nodes, id, "INSERT INTO t VALUES (\(2 * round))")
        let to = try #require(nodes.first { $0.nodeID != from.nodeID })
        try await from.handOver(id, to: to.nodeID)
        let next = try await Self.write(nodes, id, "INSERT INTO t VALUES (\(2 * round + 1))")
        #expect(next.nodeID == to.nodeID)
      }
      let last = try await Self.write(nodes, id, "INSERT INTO t VALUES (6)")
      #expect(try await Self.rows(last, id, from: .primary) == Array(0...6))
      await bed.close(nodes)
    }
  }
}
