// One node that is stopped and started again and again, with a goodbye and without.

import Base
import Node
import Testing

extension ClusterTests {
  @Suite("restarts")
  struct Restarts {
    let bed: ClusterBed
    init() throws { bed = try ClusterBed() }

    @Test("after 100 restarts of a node, half of them crashes, nobody believes anything wrong of anybody")
    func hundred() async throws {
      let nodes = try await bed.cluster([("a", "eu"), ("b", "us"), ("c", "ap")])
      var c = nodes[2]
      var incarnations: [UInt64] = []
      for round in 0..<100 {
        await c.close(saysGoodbye: round % 2 == 0)
        c = try await bed.open(c.configuration)
        if round % 10 == 9 {
          try await untilAlive([nodes[0], nodes[1], c])
          let seen = try await nodes[0].clusterStatus().nodes.first { $0.record.name == "c" }
          incarnations.append(seen?.incarnation ?? 0)
        }
      }
      #expect(zip(incarnations, incarnations.dropFirst()).allSatisfy { $0 + 10 <= $1 }, "\(incarnations)")
      for node in [nodes[0], nodes[1], c] {
        let status = try await node.clusterStatus()
        #expect(status.nodes.map(\.record.name).sorted() == ["a", "b", "c"])
        #expect(status.nodes.allSatisfy { $0.health == .alive && $0.record.state == .active })
      }
      await bed.close([nodes[0], nodes[1], c])
    }

    @Test("a caretaker that stops leaves its chores to another one at once")
    func caretaker() async throws {
      // Longer than a test waits for anything.
      bed.caretakerLease = .seconds(300)
      let nodes = try await bed.cluster([("a", "eu"), ("b", "us")])
      func caretaker(_ node: NodeService) async throws -> String? { try await node.clusterStatus().caretaker }
      try await until("somebody takes care") { try await caretaker(nodes[0]) != nil }
      let name = try await caretaker(nodes[0])
      let (stops, stays) = name == "a" ? (nodes[0], nodes[1]) : (nodes[1], nodes[0])
      await stops.close()
      // The lease would have gone on for minutes; it was given back.
      try await until("the other one takes care") { try await caretaker(stays) == stays.configuration.name }
      let again = try await bed.open(stops.configuration)
      try await untilAlive([stays, again])
      await bed.close([stays, again])
    }
  }
}
