// Moving the embedded store into another: ended at every step and begun again, it ends equal, and nothing else is
// accepted.

import AtRest
import Base
import ControlStores
import Foundation
import OpenSSL
import Testing

@Suite struct ControlStoreMigrationTests {
  let directory = TemporaryDirectory()
  let kek: FileKeyEncryption

  init() throws { kek = try FileKeyEncryption(path: directory.path + "/kek", creating: true) }

  private func path(_ name: String) -> String { "\(directory.path)/\(name).sqlite" }

  private func fill(_ name: String, entries count: Int, seed: UInt64 = 1) throws {
    let store = try EmbeddedControlStore(path: path(name), kek: kek)
    var random = SeededGenerator(seed: seed)
    for i in 0..<count {
      let value = (0..<random.below(200)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      _ = try store.transaction(then: [.put("\(["account", "key", "admin"][random.below(3)])/\(i)", value)])
    }
    // Larger than half a batch: two of them do not go together.
    for i in 0..<3 { _ = try store.transaction(then: [.put("z/large\(i)", [UInt8](repeating: 7, count: 300 << 10))]) }
    store.close()
  }

  private func target(_ name: String) throws -> LocalControlStore {
    try LocalControlStore(EmbeddedControlStore(path: path(name), kek: kek))
  }

  private func content(_ store: any ControlStore) async throws -> [String: [UInt8]] {
    let entries = try await store.entries(prefix: "", limit: 10_000).entries
    return Dictionary(uniqueKeysWithValues: entries.map { ($0.key, $0.value) })
  }

  private func error(_ body: () async throws -> Void) async -> ControlStoreError? {
    do {
      try await body()
      return nil
    } catch { return error as? ControlStoreError }
  }

  private func move(_ source: String, to target: any ControlStore) async throws -> ControlStoreMigration.Report {
    let store = try EmbeddedControlStore.resumingMove(path: path(source), kek: kek)
    defer { store.close() }
    return try await ControlStoreMigration(from: store, to: target, named: "etcd of test").run()
  }

  @Test("ended at every step, with the last call made or not, a rerun ends equal and the file takes nothing more")
  func everyStep() async throws {
    try fill("source", entries: 150)
    let original = try FileManager.default.contentsOfDirectory(atPath: directory.path)
    #expect(original.contains("source.sqlite"))
    let before = try target("source")
    let wanted = try await content(before)
    before.close()
    var interrupted = 0
    for isAnswerLost in [false, true] {
      for calls in 0... {
        let name = "run\(isAnswerLost)\(calls)"
        try FileManager.default.copyItem(atPath: path("source"), toPath: path(name))
        let goal = try target("goal" + name)
        let failing = FailingControlStore(goal, calls: calls, answerLost: isAnswerLost)
        let ended = await error { _ = try await move(name, to: failing) }
        if ended != nil {
          interrupted += 1
          #expect(ended?.code == .unavailable || ended?.code == .unknown)
          // Either untouched, when the target was never reached, or refusing changes until the move is done.
          if calls > 1 {
            #expect(await error { _ = try EmbeddedControlStore(path: path(name), kek: kek) }?.code == .refused)
          }
          let report = try await move(name, to: goal)
          #expect(report.entries == wanted.count)
        }
        var moved = try await content(goal)
        #expect(moved.removeValue(forKey: ControlStoreMigration.markerKey) != nil)
        #expect(moved == wanted)
        let refused = await error { _ = try EmbeddedControlStore(path: path(name), kek: kek) }
        #expect(refused?.code == .refused && refused?.message.contains("control.engine") == true)
        goal.close()
        if ended == nil { break }
      }
    }
    #expect(interrupted >= 16)
  }

  @Test("ended between the target's last word and the file's, it is repeated without a put; then the file stays closed")
  func lastStep() async throws {
    try fill("source", entries: 5)
    try FileManager.default.copyItem(atPath: path("source"), toPath: path("copy"))
    let goal = try target("goal")
    let first = try await move("source", to: goal)
    #expect(first.puts == 8 && first.hash.count == 32)
    // The same file from before: all of it is there already.
    var again = try await move("copy", to: goal)
    #expect(again.puts == 0)
    again.puts = first.puts
    #expect(again == first)
    #expect(await error { _ = try await move("source", to: goal) }?.code == .refused)
    goal.close()
  }

  @Test(
    "a file that is in use refuses changes from the beginning of its move on, and takes them again when it is given up")
  func inUse() async throws {
    try fill("source", entries: 5)
    let store = try EmbeddedControlStore(path: path("source"), kek: kek)
    let goal = try target("goal")
    let failing = FailingControlStore(goal, calls: 3, answerLost: false)
    _ = await error { _ = try await ControlStoreMigration(from: store, to: failing, named: "etcd").run() }
    let told = await error { _ = try store.transaction(then: [.put("a", [1])]) }
    #expect(told?.code == .refused && told?.message.contains("is being moved to") == true)
    #expect(try store.get("z/large0") != nil)
    try store.abandonMove()
    #expect(try store.transaction(then: [.put("a", [1])]).succeeded)
    let report = try await ControlStoreMigration(from: store, to: goal, named: "etcd").run()
    #expect(report.entries == 9)
    #expect(try await goal.entry("a")?.value == [1])
    #expect(await error { try store.abandonMove() }?.code == .refused)
    store.close()
    goal.close()
  }

  @Test(
    "a target with other data, of another source, or that somebody writes to, is refused and the file stays as it was")
  func foreign() async throws {
    try fill("one", entries: 4)
    try fill("two", entries: 4, seed: 2)
    let used = try target("used")
    _ = try await used.transact(if: [], then: [.put("account/x", [1])], lease: nil)
    #expect(await error { _ = try await move("one", to: used) }?.code == .refused)
    let goal = try target("goal")
    _ = try await move("one", to: goal)
    #expect(await error { _ = try await move("two", to: goal) }?.code == .refused)
    // Not even begun: it opens as ever.
    try EmbeddedControlStore(path: path("two"), kek: kek).close()
    let busy = try target("busy")
    _ = await error {
      _ = try await move("two", to: FailingControlStore(busy, calls: 4, answerLost: false))
    }
    _ = try await busy.transact(if: [], then: [.put("account/new", [1])], lease: nil)
    let told = await error { _ = try await move("two", to: busy) }
    #expect(told?.code == .refused && told?.message.contains("account/new") == true)
    used.close()
    goal.close()
    busy.close()
  }

  @Test("what was put under a lease stays behind, and a revision counts on in the target")
  func leases() async throws {
    let store = try EmbeddedControlStore(path: path("source"), kek: kek)
    let local = try LocalControlStore(store)
    let lease = try await local.grant(seconds: 60)
    _ = try await local.transact(if: [], then: [.put("leased", [1])], lease: lease)
    _ = try await local.transact(if: [], then: [.put("kept", [2])], lease: nil)
    let goal = try target("goal")
    #expect(try await ControlStoreMigration(from: store, to: goal, named: "etcd").run().entries == 1)
    #expect(try await goal.entry("leased") == nil)
    #expect(try await goal.entry("kept")?.value == [2])
    local.close()
    goal.close()
  }

  @Test("into a real etcd, ended in the middle, once more, and refused for another cluster's key")
  func etcd() async throws {
    try fill("source", entries: 200)
    let before = try target("source")
    let wanted = try await content(before)
    before.close()
    let cluster = try EtcdCluster()
    let store = try EtcdControlStore(cluster.configuration(), root: SecretBytes([UInt8](0..<32)))
    #expect(
      await error { _ = try await move("source", to: FailingControlStore(store, calls: 4, answerLost: true)) }?.code
        == .unknown)
    let report = try await move("source", to: store)
    #expect(report.entries == 203 && report.puts < 203)
    var moved = try await content(store)
    moved[ControlStoreMigration.markerKey] = nil
    #expect(moved == wanted)
    try fill("other", entries: 1)
    let other = try EtcdControlStore(cluster.configuration(), root: SecretBytes([UInt8](repeating: 9, count: 32)))
    #expect(await error { _ = try await move("other", to: other) }?.code == .refused)
    await store.close()
    await other.close()
  }
}
