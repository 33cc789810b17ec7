// What a node makes of the control store when others change it too, and when its answers or its watch fail.

import AtRest
import Base
import ControlStores
import Node
import ShardStore
import Testing

extension ClusterTests {
  @Suite("control directory")
  struct ControlDirectoryTests {
    let bed: ClusterBed
    let store = FaultyControlStore()
    init() throws { bed = try ClusterBed() }

    private func pair() async throws -> (NodeService, NodeService) {
      let nodes = try await bed.cluster([("a", "eu"), ("b", "us")], [nil, store])
      return (nodes[0], nodes[1])
    }

    /// Placed on the node of that region.
    private static func at(_ region: String) -> AccountOptions { AccountOptions(home: region, residency: [region]) }

    private static func create(_ node: NodeService, _ name: String, _ region: String) async -> Result<
      AccountRecord, NodeError
    > {
      do throws(NodeError) {
        return .success(try await node.createAccount(name: name, at(region)))
      } catch {
        return .failure(error)
      }
    }

    /// Both nodes know the same about everything.
    private func untilEqual(_ a: NodeService, _ b: NodeService) async throws {
      try await until("equal views") {
        let accounts = a.accounts()
        guard accounts == b.accounts(), a.adminTokens() == b.adminTokens() else { return false }
        for account in accounts where try a.keys(account: account.name) != b.keys(account: account.name) {
          return false
        }
        return try await a.clusterStatus().nodes.map(\.record) == b.clusterStatus().nodes.map(\.record)
      }
    }

    @Test("of two accounts of one name, made on two nodes at once, exactly one is there")
    func conflict() async throws {
      let (a, b) = try await pair()
      for round in 0..<5 {
        let name = "same-\(round)"
        async let left = Self.create(a, name, "eu")
        async let right = Self.create(b, name, "us")
        let results = await [left, right]
        let made = results.compactMap { try? $0.get() }
        #expect(made.count == 1, "\(results)")
        for case .failure(let error) in results { #expect(error.code == .exists, "\(error)") }
        try await untilEqual(a, b)
        #expect(b.accounts().filter { $0.name == name }.map(\.id) == made.map(\.id))
        #expect(a.engine.accounts().count + b.engine.accounts().count == round + 1, "the loser left no shard")
      }
      await bed.close([a, b])
    }

    @Test("changes that wait for one another share a transaction, and each caller hears what came of its own")
    func shared() async throws {
      let (a, b) = try await pair()
      _ = try await b.createAccount(name: "acme", Self.at("us"))
      // So long that all have come before the first one is over.
      store.delayWatches(.milliseconds(300))
      let before = store.transactions
      let keys = await withTaskGroup(of: Result<String, NodeError>.self) { group in
        for n in 0..<40 {
          group.addTask {
            do throws(NodeError) {
              return .success(try await b.createKey(account: n == 20 ? "none" : "acme").token)
            } catch {
              return .failure(error)
            }
          }
        }
        return await group.reduce(into: []) { $0.append($1) }
      }
      let tokens = keys.compactMap { try? $0.get() }
      #expect(Set(tokens).count == 39 && tokens.allSatisfy { b.authenticate(bearer: $0) != nil }, "\(keys)")
      for case .failure(let error) in keys { #expect(error.code == .notFound, "\(error)") }
      #expect(store.transactions - before <= 20)
      store.delayWatches(nil)
      await bed.close([a, b])
    }

    @Test("accounts that are made on two nodes at once do not get in each other's way, and names stay unique")
    func manyAtOnce() async throws {
      let (a, b) = try await pair()
      let results = await withTaskGroup(of: Result<AccountRecord, NodeError>.self) { group in
        for n in 0..<48 {
          group.addTask { await Self.create(n % 2 == 0 ? a : b, "many-\(n / 3)", n % 2 == 0 ? "eu" : "us") }
        }
        return await group.reduce(into: []) { $0.append($1) }
      }
      let made = results.compactMap { try? $0.get().name }
      #expect(made.count == 16 && Set(made).count == 16, "\(results)")
      for case .failure(let error) in results { #expect(error.code == .exists, "\(error)") }
      try await untilEqual(a, b)
      #expect(a.accounts().count == 16)
      #expect(a.engine.accounts().count + b.engine.accounts().count == 16, "the losers left no shard")
      await bed.close([a, b])
    }

    @Test("who made a change sees it when the call returns, and the other node soon")
    func visible() async throws {
      let (a, b) = try await pair()
      store.delayWatches(.milliseconds(30))
      for name in ["one", "two", "three"] {
        _ = try await b.createAccount(name: name, Self.at("us"))
        let key = try await b.createKey(account: name)
        #expect(b.authenticate(bearer: key.token) != nil)
        try await until("the key works on a") { a.authenticate(bearer: key.token) != nil }
        try await b.revokeKey(account: name, accessKey: key.accessKey)
        #expect(b.authenticate(bearer: key.token) == nil)
        try await until("it ends on a") { a.authenticate(bearer: key.token) == nil }
      }
      let token = try await a.createAdminToken(name: "ann", scopes: [.read], validFor: .seconds(60))
      try await until("the token works on b") { b.authenticate(bearer: token.token) != nil }
      await bed.close([a, b])
    }

    @Test("a change whose answer is lost is looked up: it is made once, and seen when the call returns")
    func answerLost() async throws {
      let (a, b) = try await pair()
      store.delayWatches(.milliseconds(50))
      // The first lost answer is that of the change, the second that of the look at it.
      store.next(.answerLost, .answerLost, nil, .answerLost)
      let account = try await b.createAccount(name: "acme", Self.at("us"))
      #expect(account.state == .active && b.accounts().map(\.id) == [account.id])
      let key = try await b.createKey(account: "acme")
      // Only deletes, so nothing that it put can be looked up.
      store.next(.answerLost)
      try await b.revokeKey(account: "acme", accessKey: key.accessKey)
      #expect(b.authenticate(bearer: key.token) == nil)
      #expect(try b.keys(account: "acme").isEmpty)
      store.next(.answerLost, nil, .answerLost)
      try await b.deleteAccount(named: "acme")
      #expect(b.accounts().isEmpty && b.account(account.id)?.state == .deleted)
      try await untilEqual(a, b)
      await bed.close([a, b])
    }

    @Test("a change that is made after it was looked for is made once all the same")
    func late() async throws {
      let (a, b) = try await pair()
      for round in 0..<5 {
        store.next(.late)
        let account = try await b.createAccount(name: "late-\(round)", Self.at("us"))
        #expect(account.state == .active)
        #expect(b.engine.accounts().count == round + 1)
      }
      try await untilEqual(a, b)
      #expect(a.accounts().count == 5)
      await bed.close([a, b])
    }

    @Test("without the control store a change is refused in plain words, and nothing is half done")
    func away() async throws {
      let (a, b) = try await pair()
      _ = try await b.createAccount(name: "acme", Self.at("us"))
      let key = try await b.createKey(account: "acme")
      store.setAway(true)
      await #expect { try await b.createAccount(name: "other", Self.at("us")) } throws: { hasCode(.unavailable)($0) }
      await #expect { try await b.createKey(account: "acme") } throws: { hasCode(.unavailable)($0) }
      await #expect { try await b.deleteAccount(named: "acme") } throws: { hasCode(.unavailable)($0) }
      #expect(b.authenticate(bearer: key.token) != nil, "what is known goes on without it")
      #expect(try await (b.status(ofAccount: "acme").position?.index ?? 0) >= 1)
      store.setAway(false)
      #expect(b.accounts().map(\.name) == ["acme"] && b.engine.accounts().count == 1)
      // Away in the middle of making one: between its first record and its last.
      store.next(nil, .away)
      await #expect { try await b.createAccount(name: "other", Self.at("us")) } throws: { hasCode(.unavailable)($0) }
      #expect(b.accounts().map(\.name) == ["acme"])
      #expect(try await b.createAccount(name: "other", Self.at("us")).state == .active)
      try await untilEqual(a, b)
      await bed.close([a, b])
    }

    @Test("a deletion that the control store broke off is finished by the schedule, without being asked for again")
    func deletionGoesOn() async throws {
      let (a, b) = try await pair()
      let account = try await b.createAccount(name: "acme", Self.at("us"))
      // Its keys and owners are gone, its record is not yet.
      store.next(nil, .away, of: "account/\(account.id)")
      await #expect { try await b.deleteAccount(named: "acme") } throws: { hasCode(.unavailable)($0) }
      #expect(b.account(account.id)?.state == .deleting)
      // Who did not make it leaves it to the node that did.
      try await untilEqual(a, b)
      await a.runDue()
      #expect(a.account(account.id)?.state == .deleting)
      store.setAway(true)
      await b.runDue()
      #expect(b.account(account.id)?.state == .deleting, "the store is still away")
      store.setAway(false)
      await b.runDue()
      let deleted = try #require(b.account(account.id))
      #expect(deleted.state == .deleted && deleted.deletedAt != nil && b.accounts().isEmpty)
      #expect(!b.engine.accounts().contains(account.id))
      try await untilEqual(a, b)
      // And once only.
      await b.runDue()
      #expect(b.account(account.id) == deleted)
      await bed.close([a, b])
    }

    @Test(
      "after a watch that broke, or whose past is forgotten, the view is that of the store again",
      arguments: [ControlStoreError.Code.unavailable, .compacted, .damaged, .io])
    func watchBroken(_ code: ControlStoreError.Code) async throws {
      let (a, b) = try await pair()
      _ = try await a.createAccount(name: "goes", Self.at("eu"))
      _ = try await a.createAccount(name: "stays", Self.at("eu"))
      let key = try await a.createKey(account: "stays")
      try await untilEqual(a, b)
      store.breakWatches(ControlStoreError(code, "broken by the test"))
      try await a.deleteAccount(named: "goes")
      try await a.revokeKey(account: "stays", accessKey: key.accessKey)
      let other = try await a.createKey(account: "stays")
      _ = try await a.createAccount(name: "goes", Self.at("eu"))
      if code == .unavailable { store.breakWatches(nil) }
      // A store that has forgotten the past is read as a whole, again and again.
      try await untilEqual(a, b)
      #expect(b.authenticate(bearer: key.token) == nil && b.authenticate(bearer: other.token) != nil)
      store.breakWatches(nil)
      _ = try await b.createAccount(name: "third", Self.at("us"))
      try await untilEqual(a, b)
      await bed.close([a, b])
    }

    @Test("a watch that falls silent without ending is found and begun anew")
    func silent() async throws {
      let (a, b) = try await pair()
      _ = try await a.createAccount(name: "before", Self.at("eu"))
      try await untilEqual(a, b)
      store.silenceWatches()
      _ = try await a.createAccount(name: "after", Self.at("eu"))
      let key = try await a.createKey(account: "before")
      try await until("b sees it") { b.authenticate(bearer: key.token) != nil && b.accounts().count == 2 }
      await bed.close([a, b])
    }

    @Test("what another node has done for this one is not said to be done before this one sees it")
    func behind() async throws {
      let (a, b) = try await pair()
      _ = try await a.createAccount(name: "acme", Self.at("eu"))
      try await untilEqual(a, b)
      // Nothing comes for longer than anybody waits.
      store.delayWatches(.seconds(600))
      await #expect { try await b.deleteAccount(named: "acme") } throws: { hasCode(.unavailable)($0) }
      #expect(b.accounts().map(\.state) == [.active])
      store.delayWatches(nil)
      store.silenceWatches()
      // What it had begun shows on both, and goes on when it is asked for again.
      try await until("both see it") { (a.accounts() + b.accounts()).map(\.state) == [.deleting, .deleting] }
      try await b.deleteAccount(named: "acme")
      try await until("it is gone") { a.accounts().isEmpty && b.accounts().isEmpty }
      await bed.close([a, b])
    }

    @Test("a name that is deleted and taken again, over and over, means the last account on every node")
    func again() async throws {
      let (a, b) = try await pair()
      var last: AccountRecord?
      for round in 0..<6 {
        store.breakWatches(round % 2 == 0 ? ControlStoreError(round % 4 == 0 ? .compacted : .unavailable, "test") : nil)
        if last != nil { try await a.deleteAccount(named: "acme") }
        last = try await a.createAccount(name: "acme", Self.at("eu"))
      }
      store.breakWatches(nil)
      try await untilEqual(a, b)
      #expect(try b.account(named: "acme").id == last?.id)
      await #expect { try await b.createAccount(name: "acme", Self.at("us")) } throws: { hasCode(.exists)($0) }
      await bed.close([a, b])
    }

    @Test("a value of a newer form is left alone: what follows it is seen, also after everything is read again")
    func newerForm() async throws {
      let (a, b) = try await pair()
      let known = try await a.createAccount(name: "known", Self.at("eu"))
      try await untilEqual(a, b)
      var random = Seeded(seed: 7)
      let raw = store.inner
      for (key, value) in [
        ("account/\(AccountID(from: &random))", #"{"version":2,"name":"new","shape":[1]}"#),
        ("account/\(known.id)", #"{"version":2,"name":"known","createdAt":1,"state":"active","home":"eu","more":1}"#),
        ("node/\(NodeID(from: &random))", #"{"version":9}"#), ("key/K1", "no JSON at all"),
        ("admin/x", #"{"version":1}"#), ("unheard/of", "x"),
      ] {
        _ = try await raw.transact(if: [], then: [.put(key, Array(value.utf8))], lease: nil)
      }
      _ = try await a.createAccount(name: "later", Self.at("eu"))
      try await until("b sees what came later") { b.accounts().map(\.name) == ["known", "later"] }
      #expect(b.account(known.id)?.createdAt == known.createdAt, "what is not understood changes nothing")
      store.breakWatches(ControlStoreError(.compacted, "test"))
      try await a.deleteAccount(named: "later")
      _ = try await a.createAccount(name: "last", Self.at("eu"))
      try await until("b has read everything again") { b.accounts().map(\.name) == ["known", "last"] }
      await bed.close([a, b])
    }
  }
}
