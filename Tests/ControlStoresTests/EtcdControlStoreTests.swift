// The control store of a cluster against real etcd servers: what it answers, and what its failures say.

import Base
import ControlStores
import Foundation
import OpenSSL
import Testing

@Suite(.serialized) struct EtcdControlStoreTests {
  private let root = SecretBytes([UInt8](0..<32))

  private func store(_ cluster: EtcdCluster) throws -> EtcdControlStore {
    try EtcdControlStore(cluster.configuration(), root: root)
  }

  private func code(_ body: () async throws -> Void) async -> ControlStoreError.Code? {
    do {
      try await body()
      return nil
    } catch { return (error as? ControlStoreError)?.code }
  }

  @Test("a transaction changes everything or nothing, and a range shows one moment")
  func transactions() async throws {
    let cluster = try EtcdCluster()
    let store = try store(cluster)
    let first = try await store.transact(
      if: [.absent("a/1")], then: [.put("a/1", [1]), .put("a/2", [2]), .put("b", [3])], lease: nil)
    #expect(first.succeeded)
    let again = try await store.transact(if: [.absent("a/1")], then: [.put("a/1", [9]), .delete("b")], lease: nil)
    #expect(!again.succeeded)
    #expect(try await store.entry("b")?.value == [3])
    let range = try await store.entries(prefix: "a/", limit: 10)
    #expect(range.entries.map(\.key) == ["a/1", "a/2"])
    #expect(range.entries.allSatisfy { $0.revision == first.revision })
    let moved = try await store.transact(
      if: [ControlCondition("a/1", at: first.revision)], then: [.put("a/1", [4]), .delete("a/2")], lease: nil)
    #expect(moved.succeeded && moved.revision == first.revision + 1)
    #expect(try await store.entries(prefix: "a/", limit: 10).entries.map(\.value) == [[4]])
    #expect(try await store.entry("c") == nil)
    #expect(await code { _ = try await store.transact(if: [], then: [.put("with space", [])], lease: nil) } == .invalid)
    await store.close()
  }

  @Test("four hundred random transactions and reads answer as the model does, and one watch tells them all")
  func model() async throws {
    let cluster = try EtcdCluster()
    let store = try store(cluster)
    let start = try await store.entries(prefix: "", limit: 1).revision
    var model = ControlModel(revision: start)
    var random = SeededGenerator(seed: 12)
    var succeeded = 0
    for _ in 0..<400 {
      let (conditions, changes) = model.randomTransaction(&random)
      let outcome = try await store.transact(if: conditions, then: changes, lease: nil)
      #expect(outcome == model.transact(if: conditions, then: changes))
      if outcome.succeeded { succeeded += 1 }
      let (prefix, limit) = (["near/", "far/", ""][random.below(3)], 1 + random.below(6))
      #expect(try await store.entries(prefix: prefix, limit: limit) == model.entries(prefix: prefix, limit: limit))
      let key = "near/\(random.below(5))"
      #expect(try await store.entry(key) == model.entry(key))
    }
    #expect((80...320).contains(succeeded))
    var told: [ControlEvent] = []
    let wanted = model.events(prefix: "near/")
    for try await events in store.watch(prefix: "near/", from: start + 1) {
      told += events
      if told.count >= wanted.count { break }
    }
    #expect(told == wanted)
    let twice: [ControlChange] = [.put("a", [1]), .delete("a")]
    #expect(await code { _ = try await store.transact(if: [], then: twice, lease: nil) } == .invalid)
    await store.close()
  }

  @Test("two transactions on the same revision: one of them wins")
  func races() async throws {
    let cluster = try EtcdCluster()
    let store = try store(cluster)
    let wins = try await withThrowingTaskGroup(of: Bool.self) { group in
      for i in 0..<16 {
        group.addTask {
          try await store.transact(if: [.absent("leader")], then: [.put("leader", [UInt8(i)])], lease: nil).succeeded
        }
      }
      return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
    }
    #expect(wins == 1)
    await store.close()
  }

  @Test("values are sealed on etcd's disks and bound to their keys and to the cluster's key")
  func sealing() async throws {
    let cluster = try EtcdCluster()
    let store = try store(cluster)
    let canary = Array("canary-of-a-call-centre".utf8)
    _ = try await store.transact(if: [], then: [.put("account/1", canary)], lease: nil)
    #expect(try await store.entry("account/1")?.value == canary)
    let bytes = try cluster.storedBytes()
    #expect(bytes.range(of: Data(canary)) == nil)
    #expect(bytes.range(of: Data("account/1".utf8)) != nil)
    let other = try EtcdControlStore(cluster.configuration(), root: SecretBytes([UInt8](repeating: 7, count: 32)))
    #expect(await code { _ = try await other.entry("account/1") } == .damaged)
    await store.close()
    await other.close()
  }

  @Test("a value that another key has sealed is named, and everything beside it is read and watched")
  func foreignValue() async throws {
    let cluster = try EtcdCluster()
    let store = try store(cluster)
    let other = try EtcdControlStore(cluster.configuration(), root: SecretBytes([UInt8](repeating: 7, count: 32)))
    let start = try await store.transact(if: [], then: [.put("a", [1])], lease: nil).revision
    _ = try await other.transact(if: [], then: [.put("b", [2])], lease: nil)
    _ = try await store.transact(if: [], then: [.put("c", [3])], lease: nil)
    let range = try await store.entries(prefix: "", limit: 9)
    #expect(range.entries.map(\.key) == ["a", "c"] && range.damaged == ["b"])
    var seen: [ControlEvent] = []
    for try await events in store.watch(prefix: "", from: start) {
      seen += events
      if seen.count == 3 { break }
    }
    #expect(seen.dropFirst().first == .damaged(key: "b", revision: start + 1))
    #expect(seen.last == .put(ControlEntry(key: "c", value: [3], revision: start + 2)))
    #expect(await code { _ = try await store.entry("b") } == .damaged)
    await store.close()
    await other.close()
  }

  @Test("a watch misses nothing: not what came before it, not what comes while etcd is killed and comes again")
  func watching() async throws {
    let cluster = try EtcdCluster()
    let store = try store(cluster)
    let start = try await store.entries(prefix: "w/", limit: 1).revision
    for i in 0..<5 { _ = try await store.transact(if: [], then: [.put("w/\(i)", [UInt8(i)])], lease: nil) }
    var seen: [ControlEvent] = []
    var failure: ControlStoreError.Code?
    do {
      for try await events in store.watch(prefix: "w/", from: start + 1) {
        seen += events
        if seen.count == 5 {
          _ = try await store.transact(if: [], then: [.delete("w/0"), .put("w/5", [5])], lease: nil)
        }
        if seen.count == 7 { cluster.kill(0) }
      }
    } catch { failure = (error as? ControlStoreError)?.code }
    #expect(failure == .unavailable)
    let last = seen.map(\.revision)
    #expect(last == last.sorted() && last.first == start + 1 && last.last == start + 6)
    #expect(seen.contains(.deleted(key: "w/0", revision: start + 6)))
    try cluster.start(0)
    try cluster.waitUntilHealthy()
    _ = try await store.transact(if: [], then: [.put("w/6", [6]), .put("other", [1])], lease: nil)
    for try await events in store.watch(prefix: "w/", from: start + 7) {
      #expect(events == [.put(ControlEntry(key: "w/6", value: [6], revision: start + 7))])
      break
    }
    await store.close()
  }

  @Test("a watch from a revision that is forgotten says so")
  func compaction() async throws {
    let cluster = try EtcdCluster()
    let store = try store(cluster)
    var last: Int64 = 0
    for i in 0..<4 { last = try await store.transact(if: [], then: [.put("k", [UInt8(i)])], lease: nil).revision }
    try cluster.compact(last)
    let told = await code { for try await _ in store.watch(prefix: "k", from: 1) {} }
    #expect(told == .compacted)
    #expect(try await store.entry("k")?.value == [3])
    await store.close()
  }

  @Test("what was put under a lease goes with it, and a lease that is kept stays")
  func leases() async throws {
    let cluster = try EtcdCluster()
    let store = try store(cluster)
    let kept = try await store.grant(seconds: 10)
    let left = try await store.grant(seconds: 4)
    let revision = try await store.transact(if: [], then: [.put("lease/kept", [1])], lease: kept).revision
    _ = try await store.transact(if: [], then: [.put("lease/left", [2])], lease: left)
    let keeping = Task {
      while !Task.isCancelled {
        try await store.keepAlive(kept)
        try await Task.sleep(for: .milliseconds(300))
      }
    }
    for try await events in store.watch(prefix: "lease/", from: revision + 2) {
      guard case .deleted(let key, _) = events.first else { continue }
      #expect(key == "lease/left")
      break
    }
    #expect(try await store.entry("lease/kept") != nil)
    #expect(await code { try await store.keepAlive(left) } == .leaseExpired)
    #expect(
      await code { _ = try await store.transact(if: [], then: [.put("x", [])], lease: left) } == .leaseExpired)
    keeping.cancel()
    try await store.revoke(kept)
    #expect(try await store.entry("lease/kept") == nil)
    await store.close()
  }

  @Test("a certificate of another authority, or not for clients, is refused; so is a server that we do not know")
  func certificates() async throws {
    let cluster = try EtcdCluster()
    for certificate in ["foreign", "half"] {
      let store = try EtcdControlStore(cluster.configuration(certificate: certificate), root: root)
      let told = await code { _ = try await store.entry("a") }
      #expect(told == .refused || told == .unavailable, "\(certificate): \(String(describing: told))")
      await store.close()
    }
    var configuration = cluster.configuration()
    configuration.authorityPath = cluster.directory.path + "/other.crt"
    let store = try EtcdControlStore(configuration, root: root)
    #expect(await code { _ = try await store.entry("a") } == .refused)
    await store.close()
    configuration.keyPath = "/nowhere"
    #expect(await code { _ = try EtcdControlStore(configuration, root: root) } == .invalid)
  }

  @Test("without a quorum nothing is changed and nothing stale is read; with one again everything goes on")
  func quorum() async throws {
    let cluster = try EtcdCluster(members: 3)
    let store = try store(cluster)
    _ = try await store.transact(if: [], then: [.put("k", [1])], lease: nil)
    cluster.kill(0)
    // The next endpoint serves.
    #expect(try await store.entry("k")?.value == [1])
    cluster.kill(1)
    #expect(await code { _ = try await store.entry("k") } == .unavailable)
    let told = await code { _ = try await store.transact(if: [], then: [.put("k", [2])], lease: nil) }
    #expect(told == .unknown || told == .unavailable)
    try cluster.start(0)
    try cluster.start(1)
    try cluster.waitUntilHealthy()
    let value = try await store.entry("k")?.value
    #expect(value == [1] || (told == .unknown && value == [2]))
    await store.close()
  }

  @Test("a server that falls silent in the middle leaves a doubt, and says so in time")
  func silence() async throws {
    let cluster = try EtcdCluster()
    let store = try store(cluster)
    _ = try await store.transact(if: [], then: [.put("k", [1])], lease: nil)
    cluster.pause(0)
    #expect(await code { _ = try await store.entry("k") } == .unavailable)
    let told = await code { _ = try await store.transact(if: [], then: [.put("k", [2])], lease: nil) }
    #expect(told == .unknown || told == .unavailable)
    cluster.resume(0)
    try cluster.waitUntilHealthy()
    #expect(try await store.entry("k") != nil)
    await store.close()
  }
}
