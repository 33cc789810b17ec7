// Real members of etcd as nodes run them: they grow by the plan from one to five and are replaced, while writes and one
// watch go on and members are killed.

import Base
import ControlStores
import Foundation
import OpenSSL
import Synchronization
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct ManagedEtcdTests {
  private let root = SecretBytes([UInt8](0..<32))

  /// Takes steps of the plan until there is nothing to do and `isDone`.
  private func settle(
    _ etcd: ManagedEtcd, _ members: EtcdMembers, _ nodes: [EtcdMemberNode], voters: Int,
    onStep: (EtcdMemberStep) throws -> Void = { _ in }
  ) async throws -> [EtcdMemberStep] {
    var steps: [EtcdMemberStep] = []
    for _ in 0..<1200 {
      do {
        let views = try await members.survey()
        if let step = EtcdMemberPlan.next(nodes, views) {
          try await take(step, etcd, members)
          steps.append(step)
          try onStep(step)
          continue
        }
        if views.count == voters, views.allSatisfy({ $0.isHealthy && !$0.member.isLearner }) { return steps }
      } catch let error as ControlStoreError {
        guard [.busy, .unavailable, .unknown].contains(error.code) else { throw error }
      }
      try await Task.sleep(for: .milliseconds(50))
    }
    throw ManagedEtcd.Failure(text: "etcd does not settle: see \(etcd.directory.path)")
  }

  private func take(_ step: EtcdMemberStep, _ etcd: ManagedEtcd, _ members: EtcdMembers) async throws {
    switch step {
    case .add(let node): try etcd.start(node, membership: try await members.add(peerURL: node.peerURL))
    case .promote(let id): try await members.promote(id)
    case .remove(let id): try await members.remove(id)
    }
  }

  private final class Progress: Sendable {
    let acknowledged = Atomic(0)
    /// What the follower has to hear before it ends.
    let end = Atomic(Int.max)
  }

  /// Puts numbers one after the other until it is cancelled.
  private func write(_ store: EtcdControlStore, _ progress: Progress) async {
    var next = 1
    while !Task.isCancelled {
      do {
        _ = try await store.transact(if: [], then: [.put("n/\(next)", [UInt8(next & 255)])], lease: nil)
        progress.acknowledged.store(next, ordering: .relaxed)
        next += 1
      } catch { try? await Task.sleep(for: .milliseconds(20)) }
    }
  }

  /// Every number heard, in order; begins again where a watch ended.
  private func follow(_ store: EtcdControlStore, from start: Int64, _ progress: Progress) async -> [Int] {
    var (heard, next) = ([Int](), start)
    while (heard.last ?? 0) < progress.end.load(ordering: .relaxed) {
      do {
        for try await events in store.watch(prefix: "n/", from: next) {
          for case .put(let entry) in events {
            heard.append(Int(entry.key.dropFirst(2)) ?? 0)
            next = entry.revision + 1
          }
          if (heard.last ?? 0) >= progress.end.load(ordering: .relaxed) { break }
        }
      } catch { try? await Task.sleep(for: .milliseconds(20)) }
    }
    return heard
  }

  private func put(_ store: EtcdControlStore, _ number: Int) async throws {
    while true {
      do throws(ControlStoreError) {
        _ = try await store.transact(if: [], then: [.put("n/\(number)", [])], lease: nil)
        return
      } catch {
        guard error.code == .unavailable || error.code == .unknown else { throw error }
      }
    }
  }

  @Test("one grows to three and to five, one is killed and returns, one is lost and replaced; nothing is missed")
  func growth() async throws {
    let etcd = try ManagedEtcd(nodes: 6, regions: ["eu", "us", "ap"])
    let first = etcd.nodes[0]
    try etcd.start(first, membership: nil)
    let members = try EtcdMembers(etcd.configuration([first.clientURL]))
    let store = try EtcdControlStore(etcd.configuration([first.clientURL]), root: root)
    #expect(try await settle(etcd, members, [first], voters: 1).isEmpty)
    let start = try await store.transact(if: [], then: [.put("canary", [7])], lease: nil).revision
    let progress = Progress()
    let writer = Task { await write(store, progress) }
    let follower = Task { await follow(store, from: start + 1, progress) }
    try await story(etcd, members, store)
    writer.cancel()
    await writer.value
    let count = progress.acknowledged.load(ordering: .relaxed)
    progress.end.store(count + 1, ordering: .relaxed)
    try await put(store, count + 1)
    let heard = await follower.value
    // An answer that was lost makes a number come twice; none is missing and none comes early.
    #expect(count > 20 && Set(heard) == Set(1...(count + 1)) && heard == heard.sorted())
    #expect(try await store.entry("canary")?.value == [7])
    await members.close()
    await store.close()
  }

  private func story(_ etcd: ManagedEtcd, _ members: EtcdMembers, _ store: EtcdControlStore) async throws {
    func use(_ nodes: [EtcdMemberNode]) throws {
      try members.use(endpoints: nodes.map(\.clientURL))
      try store.use(endpoints: nodes.map(\.clientURL))
    }
    let three = Array(etcd.nodes.prefix(3))
    #expect(try await settle(etcd, members, three, voters: 3).count == 4)
    try use(three)
    let five = Array(etcd.nodes.prefix(5))
    var taken = 0
    let grown = try await settle(etcd, members, five, voters: 5) { _ in
      taken += 1
      if taken == 1 { etcd.kill("n1") }
      if taken == 2 { try etcd.restart(five[1]) }
    }
    #expect(grown.count == 4)
    try use(five)
    // Lost for good: its node is removed, another one in its region comes.
    let lost = try #require(try await members.list().first { $0.name == "n2" })
    etcd.kill("n2")
    let rest = etcd.nodes.filter { $0.id != "n2" }
    let replaced = try await settle(etcd, members, rest, voters: 5)
    #expect(replaced.first == .remove(lost.id) && replaced.count == 3)
    try use(rest)
    #expect(Set(try await members.list().map(\.name)) == ["n0", "n1", "n3", "n4", "n5"])
    let leader = try #require(try await members.survey().first { $0.isLeader })
    #expect(leader.status?.version.hasPrefix("3.") == true)
    // The leader too, without warning.
    etcd.kill(leader.member.name)
  }

  @Test("endpoints that lead nowhere are left for others while the store runs, and changes are repeatable")
  func endpoints() async throws {
    let etcd = try ManagedEtcd(nodes: 2, regions: ["eu"])
    try etcd.start(etcd.nodes[0], membership: nil)
    let store = try EtcdControlStore(etcd.configuration(["https://127.0.0.1:1"]), root: root)
    #expect(await code { _ = try await store.entry("k") } == .unavailable)
    let other = try EtcdControlStore(etcd.configuration(["https://127.0.0.1:1"]), root: root)
    #expect(await code { try store.use(endpoints: []) } == .invalid)
    #expect(await code { try store.use(endpoints: ["http://127.0.0.1:1"]) } == .invalid)
    try store.use(endpoints: ["https://127.0.0.1:1", etcd.nodes[0].clientURL])
    // Nobody listens there, so nothing can have been changed there: a change goes on to the next.
    #expect(await code { _ = try await other.transact(if: [], then: [.put("k", [])], lease: nil) } == .unavailable)
    let members = try EtcdMembers(etcd.configuration([etcd.nodes[0].clientURL]))
    _ = try await settle(etcd, members, [etcd.nodes[0]], voters: 1)
    #expect(try await store.entry("k") == nil)
    let added = try await members.add(peerURL: etcd.nodes[1].peerURL)
    #expect(added.member.isLearner && added.all.count == 2)
    #expect(try await members.add(peerURL: etcd.nodes[1].peerURL).member == added.member)
    #expect(await code { try await members.promote(added.member.id) } == .busy)
    try await members.remove(added.member.id)
    try await members.remove(added.member.id)
    #expect(try await members.list().map(\.name) == ["n0"])
    await other.close()
    await members.close()
    await store.close()
  }

  private func code(_ body: () async throws -> Void) async -> ControlStoreError.Code? {
    do {
      try await body()
      return nil
    } catch { return (error as? ControlStoreError)?.code }
  }
}
