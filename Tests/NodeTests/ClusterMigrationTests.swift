// A node that stood alone becomes the first one of a cluster, with everything that it has.

import AtRest
import Base
import ControlStores
import Foundation
import Node
import SQLite
import ShardStore
import Testing

extension ClusterTests {
  @Suite("from one node to a cluster")
  struct Migration {
    let bed: ClusterBed
    init() throws { bed = try ClusterBed() }

    private struct Before {
      var accounts: [AccountRecord]
      var bearers: [String]
      var admin: String
    }

    /// A node's first life, alone.
    private func aloneFirst(_ configuration: NodeConfiguration, accounts: Int) async throws -> Before {
      let node = try await bed.open(alone(configuration))
      var before = Before(accounts: [], bearers: [], admin: "")
      for i in 0..<accounts {
        let account = try await node.createAccount(name: "account-\(i)", AccountOptions(timezone: "Europe/Kyiv"))
        _ = try await node.engine.write(account.id) { try $0.execute("CREATE TABLE t (a)") }
        before.bearers.append(try await node.createKey(account: account.name, label: "app").token)
      }
      before.accounts = node.accounts()
      before.admin = try await node.createAdminToken(name: "ann", scopes: [.all], validFor: .seconds(3600)).token
      await node.close()
      return before
    }

    private func alone(_ configuration: NodeConfiguration) -> NodeConfiguration {
      var alone = configuration
      alone.control = NodeConfiguration(directory: "").control
      return alone
    }

    private func check(_ node: NodeService, _ before: Before) async throws {
      #expect(node.accounts() == before.accounts)
      for (account, bearer) in zip(before.accounts, before.bearers) {
        guard case .account(account.id, _)? = node.authenticate(bearer: bearer) else {
          Issue.record("a token of \(account.name) is not known")
          continue
        }
        try await Shards.write([node], account.id, "INSERT INTO t VALUES (1)")
        #expect(try node.keys(account: account.name).map(\.label) == ["app"])
      }
      #expect(node.authenticate(bearer: before.admin) == .admin(name: "ann", scopes: [.all]))
    }

    @Test("accounts, keys and tokens are there, others can join, and the former control store opens no more")
    func moves() async throws {
      let configuration = bed.configuration("a")
      let before = try await aloneFirst(configuration, accounts: 3)
      await #expect { try await bed.open(configuration) } throws: { hasCode(.refused, "cluster init")($0) }
      _ = try await ClusterSetup.found(configuration)
      let first = try await bed.open(configuration)
      try await check(first, before)
      let b = bed.configuration("b", "us")
      _ = try await bed.join(first, b)
      let second = try await bed.open(b)
      #expect(second.accounts() == before.accounts)
      try await until("b sees the token") { second.authenticate(bearer: before.admin) != nil }
      await first.close()
      let path = configuration.paths.data + "/control.sqlite"
      let kek = try FileKeyEncryption(path: configuration.paths.keys + "/kek")
      #expect { try EmbeddedControlStore(path: path, kek: kek) } throws: {
        ($0 as? ControlStoreError)?.message.contains("was moved to the cluster komora") == true
      }
      let again = try await bed.open(configuration)
      try await check(again, before)
      await bed.close([again, second])
      // Also not by a node that is made to stand alone again.
      try FileManager.default.moveItem(
        atPath: configuration.paths.keys + "/cluster", toPath: configuration.paths.keys + "/former")
      await #expect { try await bed.open(alone(configuration)) } throws: { hasCode(.refused, "was moved to")($0) }
      try FileManager.default.moveItem(
        atPath: configuration.paths.keys + "/former", toPath: configuration.paths.keys + "/cluster")
      // A key that is rotated afterwards leaves the copy alone.
      _ = try await KeyRotation.run(configuration)
      let last = try await bed.open(configuration)
      try await check(last, before)
      await last.close()
    }

    @Test("a move that is broken off at every step, one after the other, ends with everything in place")
    func brokenOff() async throws {
      let configuration = bed.configuration("a")
      let before = try await aloneFirst(configuration, accounts: 2)
      _ = try await ClusterSetup.found(configuration)
      var node: NodeService?
      var failures = 0
      for calls in 0..<60 where node == nil {
        let store = FaultyControlStore()
        store.setAway(after: calls)
        do {
          node = try await bed.open(configuration, store)
          store.setAway(after: nil)
        } catch {
          failures += 1
          #expect(hasCode(.unavailable)(error), "\(error)")
        }
        // The key changes in the middle of the move.
        if failures == 3 { _ = try await KeyRotation.run(configuration) }
      }
      let opened = try #require(node)
      #expect(failures >= 5, "\(failures)")
      try await check(opened, before)
      await opened.close()
      let again = try await bed.open(configuration)
      try await check(again, before)
      await again.close()
    }
  }
}
