// The topologies below cluster/, read by the node's own reader: each is valid, and the nodes of one fit together.

import Foundation
import Node
import Testing

@Suite struct ClusterTopologyTests {
  private static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("cluster")
    .resolvingSymlinksInPath().path

  /// Every configuration below `topology`, in order of its path.
  private func nodes(_ topology: String) throws -> [NodeConfiguration] {
    let top = "\(Self.directory)/\(topology)"
    let files = (FileManager.default.enumerator(atPath: top)?.allObjects ?? []).compactMap { $0 as? String }
    return try files.filter { $0.hasSuffix(".toml") }.sorted().map { file in
      let node = try NodeConfiguration.load(file: "\(top)/\(file)", environment: [:])
      if file.contains("/") { #expect(file == "\(node.name)/komora.toml") }
      return node
    }
  }

  @Test("every configuration below cluster/ is in one of the topologies that are looked at")
  func complete() throws {
    let all = (FileManager.default.enumerator(atPath: Self.directory)?.allObjects ?? []).compactMap { $0 as? String }
    #expect(all.count { $0.hasSuffix(".toml") } == 9)
  }

  @Test("one node stands alone with certificates of its own")
  func oneNode() throws {
    let nodes = try nodes("one-node")
    let node = try #require(nodes.first)
    #expect(nodes.count == 1 && node.control.engine == .embedded && node.cluster.seeds.isEmpty)
    #expect(node.tls.apiCertificate != nil && node.tls.apiKey != nil)
  }

  @Test(
    "the nodes of a cluster have names and addresses of their own and seeds among each other",
    arguments: [("three-regions", 3), ("five-nodes", 5)])
  func cluster(_ topology: String, _ count: Int) throws {
    let nodes = try nodes(topology)
    #expect(nodes.count == count && Set(nodes.map(\.region)).count == 3)
    #expect(Set(nodes.map(\.name)).count == count && Set(nodes.map(\.zone)).count == count)
    #expect(Set(nodes.map(\.cluster.name)).count == 1)
    let fabric = nodes.map { "\($0.listen.fabric)" }
    #expect(Set(fabric).count == count)
    for (node, address) in zip(nodes, fabric) {
      #expect(node.control.engine == .etcd && node.control.isManaged && node.control.endpoints.isEmpty)
      #expect(node.cluster.advertise == node.listen.fabric.host && node.listen.fabric.host != "0.0.0.0")
      #expect(!node.cluster.seeds.isEmpty && Set(node.cluster.seeds).isSubset(of: fabric))
      #expect(!node.cluster.seeds.contains(address))
      // etcd's member listens on the two ports behind the fabric's.
      let ports = [node.listen.api.port, node.listen.s3.port]
      #expect(!ports.contains { (node.listen.fabric.port...node.listen.fabric.port + 2).contains($0) })
      #expect(node.paths.data.hasPrefix("/var/lib/komora/") && node.paths.archive == "/var/lib/komora/archive")
    }
  }
}
