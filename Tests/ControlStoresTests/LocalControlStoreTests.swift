// The embedded store behind the port: the same answers as etcd's, with less of a memory.

import AtRest
import Base
import ControlStores
import Testing

@Suite(.timeLimit(.minutes(5))) struct LocalControlStoreTests {
  let directory = TemporaryDirectory()
  let kek: FileKeyEncryption

  init() throws { kek = try FileKeyEncryption(path: directory.path + "/kek", creating: true) }

  private func open() throws -> LocalControlStore {
    try LocalControlStore(
      EmbeddedControlStore(path: directory.path + "/control.sqlite", kek: kek), leasePeriod: .milliseconds(5))
  }

  private func code(_ body: () async throws -> Void) async -> ControlStoreError.Code? {
    do {
      try await body()
      return nil
    } catch { return (error as? ControlStoreError)?.code }
  }

  @Test("random transactions and reads answer as the model does, over restarts too, and a watch tells them all")
  func model() async throws {
    var model = ControlModel(revision: 0)
    var random = SeededGenerator(seed: 5)
    for _ in 0..<3 {
      let store = try open()
      let before = model.history.count
      let watch = store.watch(prefix: "near/", from: model.revision + 1)
      // The store's thread has begun the watch before it answers what comes after.
      _ = try await store.entry("k")
      for _ in 0..<60 {
        let (conditions, changes) = model.randomTransaction(&random)
        let outcome = try await store.transact(if: conditions, then: changes, lease: nil)
        #expect(outcome == model.transact(if: conditions, then: changes))
        let limit = 1 + random.below(6)
        #expect(try await store.entries(prefix: "far/", limit: limit) == model.entries(prefix: "far/", limit: limit))
        #expect(try await store.entry("near/1") == model.entry("near/1"))
      }
      let wanted = model.history[before...].filter { $0.key.hasPrefix("near/") }
      store.close()
      var told: [ControlEvent] = []
      let end = await code { for try await events in watch { told += events } }
      #expect(told == wanted)
      #expect(end == .unavailable)
    }
  }

  @Test("a lease whose end the file refuses is not lost: its keys go as soon as the file takes changes again")
  func refusedRevoke() async throws {
    let file = try EmbeddedControlStore(path: directory.path + "/control.sqlite", kek: kek)
    let store = try LocalControlStore(file, leasePeriod: .milliseconds(5))
    let lease = try await store.grant(seconds: 3600)
    _ = try await store.transact(if: [], then: [.put("held", [1])], lease: lease)
    // From the beginning of a move on it takes no changes; this target fails after the look at it.
    let targetFile = try EmbeddedControlStore(path: directory.path + "/target.sqlite", kek: kek)
    let target = FailingControlStore(try LocalControlStore(targetFile), calls: 2, answerLost: false)
    await #expect(throws: ControlStoreError.self) {
      try await ControlStoreMigration(from: file, to: target, named: "target").run()
    }
    #expect(await code { try await store.revoke(lease) } == .refused)
    #expect(await code { try await store.keepAlive(lease) } == .leaseExpired)
    let watch = store.watch(prefix: "held", from: try await store.entries(prefix: "", limit: 9).revision + 1)
    // The store's thread has begun the watch before it answers what comes after.
    _ = try await store.entry("held")
    try file.abandonMove()
    for try await events in watch {
      #expect(events.map(\.key) == ["held"])
      break
    }
    #expect(try await store.entry("held") == nil)
    store.close()
  }

  @Test("a watch from the past is told that there is none")
  func past() async throws {
    let store = try open()
    _ = try await store.transact(if: [], then: [.put("k", [1])], lease: nil)
    #expect(await code { for try await _ in store.watch(prefix: "k", from: 1) {} } == .compacted)
    store.close()
    #expect(await code { for try await _ in store.watch(prefix: "k", from: 2) {} } == .unavailable)
    #expect(await code { _ = try await store.entry("k") } == .unavailable)
  }

  @Test("what was put under a lease goes when it is not kept, is revoked, or the process ends")
  func leases() async throws {
    var store = try open()
    let watch = store.watch(prefix: "a/short", from: 1)
    let short = try await store.grant(seconds: 3)
    let long = try await store.grant(seconds: 3600)
    _ = try await store.transact(if: [], then: [.put("a/short", [1])], lease: short)
    _ = try await store.transact(if: [], then: [.put("a/long", [2])], lease: long)
    _ = try await store.transact(if: [], then: [.put("a/free", [3])], lease: nil)
    var told: [ControlEvent] = []
    for try await events in watch {
      told += events
      if told.count == 2 { break }
    }
    #expect(told.first == .put(ControlEntry(key: "a/short", value: [1], revision: 1)))
    #expect(told.last.map { if case .deleted("a/short", _) = $0 { true } else { false } } == true)
    #expect(await code { try await store.keepAlive(short) } == .leaseExpired)
    #expect(await code { _ = try await store.transact(if: [], then: [.put("b", [])], lease: short) } == .leaseExpired)
    try await store.keepAlive(long)
    let gone = try await store.grant(seconds: 3600)
    _ = try await store.transact(if: [], then: [.put("a/gone", [4])], lease: gone)
    try await store.revoke(gone)
    #expect(try await store.entries(prefix: "a/", limit: 9).entries.map(\.key) == ["a/free", "a/long"])
    store.close()
    store = try open()
    #expect(try await store.entries(prefix: "a/", limit: 9).entries.map(\.key) == ["a/free"])
    store.close()
  }
}
