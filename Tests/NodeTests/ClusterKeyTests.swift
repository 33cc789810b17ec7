// The datagrams' keys, certificates, and members that were removed, over nodes that go on talking.

import Base
import Foundation
import Node
import Testing
import Threads

extension ClusterTests {
  @Suite("keys of a running cluster")
  struct Keys {
    let bed: ClusterBed
    init() throws { bed = try ClusterBed() }

    /// Watches what `nodes` believe of each other while `body` runs: the lines of those believed dead.
    private func losses(_ nodes: [NodeService], while body: () async throws -> Void) async throws -> Set<String> {
      let lost = Lock<Set<String>>([])
      let watcher = Task {
        while !Task.isCancelled {
          for node in nodes {
            for other in (try? await node.clusterStatus().nodes) ?? [] where other.health != .alive {
              guard other.health != .suspect else { continue }
              lost.with { _ = $0.insert("\(node.configuration.name): \(other.record.name) is \(other.health)") }
            }
          }
          try? await Task.sleep(for: .milliseconds(5))
        }
      }
      defer { watcher.cancel() }
      try await body()
      watcher.cancel()
      await watcher.value
      return lost.with { $0 }
    }

    private func untilGeneration(_ generation: Int, _ nodes: [NodeService]) async throws {
      try await until("generation \(generation)") {
        for node in nodes {
          let status = try await node.clusterStatus()
          guard status.datagramKeyGeneration == generation else { return false }
        }
        return true
      }
    }

    @Test("a new key for datagrams reaches all under traffic, nobody is lost or refused, a stopped node catches up")
    func ring() async throws {
      var nodes = try await bed.cluster([("a", "eu"), ("b", "us"), ("c", "ap")])
      try await untilGeneration(1, nodes)
      let lost = try await losses(nodes) {
        for turn in 1...3 {
          try await nodes[turn % 3].rotateDatagramKey()
          // Known to all, used by all, the old one dropped: three steps.
          try await untilGeneration(1 + 3 * turn, nodes)
          _ = try await nodes[turn % 3].createAccount(name: "under-traffic-\(turn)")
        }
      }
      #expect(lost.isEmpty)
      try await until("counters are published") {
        nodes.allSatisfy { $0.metric("komora_fabric_datagrams_accepted") > 0 }
      }
      for node in nodes { #expect(node.metric("komora_fabric_datagrams_refused", "unknownKey") == 0) }
      let c = nodes.removeLast()
      await c.close()
      try await nodes[0].rotateDatagramKey()
      try await untilGeneration(13, nodes)
      nodes.append(try await bed.open(c.configuration))
      try await untilGeneration(13, nodes)
      try await untilAlive(nodes)
      await bed.close(nodes)
    }

    @Test("every node takes a new certificate while its links stand, and no peer is lost")
    func renewal() async throws {
      let nodes = try await bed.cluster([("a", "eu"), ("b", "us"), ("c", "ap")])
      let account = try await nodes[2].createAccount(name: "acme", AccountOptions(residency: ["ap"]))
      let lost = try await losses(nodes) {
        for _ in 0..<2 { for node in nodes { try await node.renewCertificates() } }
        // Links are made again one by one; questions go on.
        for _ in 0..<20 {
          for node in nodes { #expect(try await (node.status(ofAccount: "acme").position?.index ?? 0) >= 1) }
        }
      }
      #expect(lost.isEmpty && account.primary == nodes[2].nodeID)
      for node in nodes { #expect(node.metric("komora_cluster_certificates_renewed_total") == 2) }
      // The new ones are what a start finds.
      let b = nodes[1]
      await b.close()
      let again = try await bed.open(b.configuration)
      try await untilAlive([nodes[0], again, nodes[2]])
      await bed.close([nodes[0], again, nodes[2]])
    }

    @Test("a renewal that a full or broken disk interrupts is finished by itself when the disk is well")
    func interrupted() async throws {
      var configuration = bed.configuration("a")
      // So that the node looks after its certificates often.
      configuration.fabric.certificateLife = .seconds(200)
      _ = try await ClusterSetup.found(configuration)
      let a = try await bed.open(configuration)
      let path = configuration.paths.keys + "/etcd-client/client.pem"
      let files = FileManager.default
      try files.moveItem(atPath: path, toPath: path + ".aside")
      try files.createDirectory(atPath: path, withIntermediateDirectories: false)
      await #expect(throws: NodeError.self) { try await a.renewCertificates() }
      #expect(a.metric("komora_cluster_certificates_renewed_total") == 0)
      try files.removeItem(atPath: path)
      try await until("the renewal is finished") { a.metric("komora_cluster_certificates_renewed_total") >= 1 }
      await a.close()
    }

    @Test("the certificate of a node that was removed opens nothing any more: no link, no datagram, no start")
    func removal() async throws {
      let nodes = try await bed.cluster([("a", "eu"), ("b", "us"), ("c", "ap")])
      let (a, b, c) = (nodes[0], nodes[1], nodes[2])
      _ = try await c.createAccount(name: "held", AccountOptions(residency: ["ap"]))
      _ = try await c.createAccount(name: "acme", AccountOptions(residency: ["eu"]))
      let generation = try await a.clusterStatus().datagramKeyGeneration
      await #expect { try await a.removeNode("c", acceptingLoss: false) } throws: { hasCode(.refused, "1 account")($0) }
      await #expect { try await a.removeNode("a", acceptingLoss: true) } throws: { hasCode(.refused, "itself")($0) }
      await #expect { try await a.removeNode("x", acceptingLoss: true) } throws: { hasCode(.notFound)($0) }
      #expect(try await a.removeNode("c", acceptingLoss: true).state == .removed)
      // It is told, and until it ends its gossip is refused by both.
      await c.removedFromCluster()
      try await until("datagrams are refused") {
        [a, b].allSatisfy { $0.metric("komora_fabric_datagrams_refused", "removed") > 0 }
      }
      await #expect { try await c.deleteAccount(named: "acme") } throws: { hasCode(.unavailable)($0) }
      await #expect { try await c.renewCertificates() } throws: { hasCode(.unavailable)($0) }
      #expect(try a.account(named: "acme").state == .active)
      try await until("it is given up") {
        for node in [a, b] where try await node.clusterStatus().nodes.contains(where: { $0.record.name == "c" }) {
          return false
        }
        return true
      }
      // What it knows of the datagrams' keys is worth nothing any more.
      try await untilGeneration(generation + 3, [a, b])
      await c.close()
      await #expect { try await bed.open(c.configuration) } throws: { hasCode(.refused, "was removed")($0) }
      try await untilAlive([a, b])
      await bed.close([a, b])
    }
  }
}
