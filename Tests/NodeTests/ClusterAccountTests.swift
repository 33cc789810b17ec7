// Accounts through any node of a cluster: placed where they may lie, seen, asked about and deleted from everywhere.

import Base
import Node
import ShardStore
import Testing

extension ClusterTests {
  @Suite("accounts of a cluster")
  struct Accounts {
    let bed: ClusterBed
    init() throws { bed = try ClusterBed() }

    @Test("an account is placed where its residency allows, through any node, and is there when the call returns")
    func placement() async throws {
      let nodes = try await bed.cluster([("a", "eu"), ("b", "us"), ("c", "ap")])
      for asked in nodes {
        for holder in nodes {
          let region = holder.configuration.region
          let name = "\(asked.configuration.name)-\(region)"
          let account = try await asked.createAccount(name: name, AccountOptions(residency: [region]))
          #expect(account.primary == holder.nodeID && account.isActive && account.home == region)
          #expect(try asked.account(named: name) == account)
          let key = try await asked.createKey(account: name)
          #expect(asked.authenticate(bearer: key.token) == .account(account.id, keyID: key.accessKey))
          try await until("everybody sees it") { nodes.allSatisfy { $0.account(account.id) == account } }
          #expect(holder.engine.accounts().contains(account.id))
          for node in nodes where node.nodeID != holder.nodeID {
            #expect(throws: NodeError.self) { try node.checkHeld(account) }
            #expect { try node.checkHeld(account) } throws: {
              hasCode(.elsewhere, "https://127.0.0.1:\(holder.configuration.listen.api.port)")($0)
            }
            #expect(!node.engine.accounts().contains(account.id))
          }
          try holder.checkHeld(account)
        }
      }
      let counts = try await nodes[0].clusterStatus().nodes.map(\.accountsCount)
      #expect(counts == [3, 3, 3])
      await bed.close(nodes)
    }

    @Test("an account that no node may hold is refused, on a draining node too")
    func refused() async throws {
      let nodes = try await bed.cluster([("a", "eu"), ("b", "us")])
      let us = AccountOptions(residency: ["us"])
      await #expect { try await nodes[0].createAccount(name: "mars", AccountOptions(residency: ["mars"])) } throws: {
        hasCode(.refused)($0)
      }
      _ = try await nodes[0].drain("b", true)
      await #expect { try await nodes[0].createAccount(name: "late", us) } throws: { hasCode(.refused)($0) }
      #expect(try await nodes[0].createAccount(name: "free").primary == nodes[0].nodeID)
      _ = try await nodes[0].drain("b", false)
      #expect(try await nodes[0].createAccount(name: "late", us).primary == nodes[1].nodeID)
      #expect(nodes[0].accounts().map(\.name) == ["free", "late"])
      await bed.close(nodes)
    }

    @Test("standing and deletion go through any node, and its keys end there at once")
    func elsewhere() async throws {
      let nodes = try await bed.cluster([("a", "eu"), ("b", "us"), ("c", "ap")])
      let (a, b) = (nodes[0], nodes[1])
      let account = try await a.createAccount(name: "acme", AccountOptions(residency: ["us"]))
      let key = try await a.createKey(account: "acme")
      let here = try await b.status(ofAccount: "acme")
      #expect(here.primary == "b" && here.position != nil)
      for node in nodes {
        let status = try await node.status(ofAccount: "acme")
        #expect(status.primary == "b" && status.position == here.position)
      }
      try await a.deleteAccount(named: "acme")
      #expect(a.authenticate(bearer: key.token) == nil && a.accounts().isEmpty)
      #expect(a.account(account.id)?.state == .deleted)
      try await until("its shard is gone") { !b.engine.accounts().contains(account.id) }
      await #expect { try await a.deleteAccount(named: "acme") } throws: { hasCode(.notFound)($0) }
      // A holder that is stopped: the account is deleted all the same, and its shard when the holder is back.
      let next = try await a.createAccount(name: "acme", AccountOptions(residency: ["us"]))
      let kept = try await a.createAccount(name: "kept", AccountOptions(residency: ["us"]))
      await b.close()
      let silent = try await a.status(ofAccount: "acme")
      #expect(silent.primary == "b" && silent.position == nil)
      await #expect { try await a.createAccount(name: "more", AccountOptions(residency: ["us"])) } throws: {
        hasCode(.refused)($0)
      }
      try await a.deleteAccount(named: "acme")
      let again = try await bed.open(b.configuration)
      try await until("it is gone there too") { !again.engine.hasAccount(next.id) }
      #expect(try again.account(named: "kept") == kept && again.engine.hasAccount(kept.id))
      await bed.close([a, again, nodes[2]])
    }
  }
}
