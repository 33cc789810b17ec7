// Chores that one node does for the whole cluster: the datagrams' key, the committed time, the members of a managed etcd.
//
// Whoever holds the lease on `cluster/caretaker` does them; when it dies another one takes over after the lease. Two at
// once, for as long as a paused one believes in its lease, do no harm: every step is a transaction on what it rests on.

import Base
import Control
import ControlStores
import Fabric
import Formats
import Logging
import Membership
import Threads
import UVLoop

extension ClusterService {
  static let caretakerKey = ControlKeys.cluster + "caretaker"
  static let timeKey = ControlKeys.cluster + "time"
  static let rotationKey = ControlKeys.cluster + "rotation-wanted"

  func takeCare() async {
    var lease: ControlLease?
    var chores = Chores(service: self)
    while !Task.isCancelled {
      if await hold(&lease) { await chores.run() }
      try? await Task.sleep(for: configuration.fabric.caretakerInterval)
    }
    // The next one need not wait. This task is cancelled; a request of its own would be too.
    if let lease { await Task { [control] in try? await control.store.revoke(lease) }.value }
  }

  /// Whether this node is the caretaker. A lease that was granted is kept in `lease` until the store says that it has
  /// ended: a request that was cancelled or whose answer was lost may have put it to use, and it must be given back.
  private func hold(_ lease: inout ControlLease?) async -> Bool {
    let holder = control.view.with { $0.cluster[Self.caretakerKey]?.value }
    do throws(ControlStoreError) {
      if let known = lease {
        if let holder, holder != nodeID.bytes {
          // Another one was quicker: a lease that holds nothing is not kept alive.
          lease = nil
          try await control.store.revoke(known)
          return false
        }
        try await control.store.keepAlive(known)
        if holder != nil { return true }
      }
      guard holder == nil else { return false }
      let seconds = max(Int(configuration.fabric.caretakerLease.components.seconds), 1)
      if lease == nil { lease = try await control.store.grant(seconds: seconds) }
      return try await control.store.transact(
        if: [.absent(Self.caretakerKey)], then: [.put(Self.caretakerKey, nodeID.bytes)], lease: lease
      ).succeeded
    } catch {
      if error.code == .leaseExpired { lease = nil }
      logger.info("caretaker's lease", metadata: ["reason": "\(error.message)"])
    }
    return false
  }

  private struct Chores {
    let service: ClusterService
    private var mover: ShardMover
    private var lastTime: (committed: UnixMicroseconds, at: Instant)?
    private var rounds = 0

    init(service: ClusterService) {
      self.service = service
      mover = ShardMover(service)
    }

    mutating func run() async {
      await service.turnRing()
      if rounds % 10 == 0 { lastTime = await service.commitTime(after: lastTime) }
      if rounds % 60 == 0 { await service.sweepInvitations() }
      if rounds % 3 == 0 { await service.tendControlMembers() }
      if rounds % 5 == 0 || mover.isBusy { await mover.run() }
      rounds += 1
    }
  }

  // MARK: the datagrams' key

  /// Takes the next step of a rotation, once every node has taken the last one over.
  private func turnRing() async {
    let view = control.view.with { $0 }
    guard let entry = view.cluster[Self.ringKey], let contents = try? DatagramRingContents(entry.value) else { return }
    let ring = DatagramRing(contents)
    let gone = Set(await membership.members.filter { $0.standing >= .dead }.map(\.node))
    let isBehind = view.nodes.values.contains { node in
      [.active, .draining].contains(node.record.state) && !gone.contains(node.record.id)
        && node.record.ringGeneration < ring.generation
    }
    guard !isBehind else { return }
    let wanted = view.cluster[Self.rotationKey]
    let age = parts.clock.now - contents.since
    let isDue = wanted != nil || age >= configuration.fabric.datagramKeyRotation.wholeMicroseconds
    guard let next = ring.next(at: parts.clock.now, isDue: isDue) else { return }
    let isNewKey = next.contents.keys.count > contents.keys.count
    let changes =
      [ControlChange.put(Self.ringKey, next.contents.encode())]
      + (isNewKey && wanted != nil ? [.delete(Self.rotationKey)] : [])
    do throws(NodeError) {
      try await control.change { now throws(NodeError) in
        guard now.cluster[Self.ringKey]?.revision == entry.revision else {
          return PlannedChange(changes: [], value: ())
        }
        return PlannedChange(
          conditions: [ControlCondition(Self.ringKey, at: entry.revision)], changes: changes, value: ())
      }
      logger.notice("datagram keys turned", metadata: ["generation": "\(next.generation)"])
    } catch {
      logger.info("datagram keys not turned", metadata: ["reason": "\(error.message)"])
    }
  }

  // MARK: invitations

  /// Takes those away that nobody used in time.
  private func sweepInvitations() async {
    guard control.view.with({ !$0.invitations.isEmpty }) else { return }
    do throws(ControlStoreError) {
      let entries = try await control.store.entries(prefix: ControlKeys.invitations, limit: 1000).entries
      for entry in entries {
        guard let stored: StoredInvitation = try? ControlKeys.decode(entry), stored.expiresAt < parts.clock.now else {
          continue
        }
        _ = try await control.store.transact(
          if: [ControlCondition(entry.key, at: entry.revision)], then: [.delete(entry.key)], lease: nil)
      }
    } catch {
      logger.info("invitations not swept", metadata: ["reason": "\(error.message)"])
    }
  }

  // MARK: committed time

  /// Moves the cluster's time on: the median of the nodes' clocks, never back, never faster than time passes.
  private func commitTime(
    after last: (committed: UnixMicroseconds, at: Instant)?
  ) async -> (committed: UnixMicroseconds, at: Instant)? {
    let now = MembershipService.now
    let clocks = await askClocks() + [parts.clock.now]
    let entry = control.view.with { $0.cluster[Self.timeKey] }
    let stored = entry.flatMap { entry -> UnixMicroseconds? in
      var reader = ByteReader(entry.value)
      return try? reader.take(UnixMicroseconds.self)
    }
    let next: UnixMicroseconds
    if let stored {
      // A caretaker that has just begun has not seen any time pass yet.
      next = CommittedTime.next(previous: stored, elapsed: last.map { now - $0.at } ?? .zero, clocks: clocks)
    } else {
      next = CommittedTime.first(clocks: clocks) ?? parts.clock.now
    }
    if next == stored { return (next, now) }
    var writer = ByteWriter(capacity: 8)
    writer.put(next)
    let outcome = try? await control.store.transact(
      if: [ControlCondition(Self.timeKey, at: entry?.revision ?? 0)], then: [.put(Self.timeKey, writer.bytes)],
      lease: nil)
    return outcome?.succeeded == true ? (next, now) : nil
  }

  private func askClocks() async -> [UnixMicroseconds] {
    let (endpoint, timeout) = (endpoint, configuration.fabric.questionTimeout)
    return await withTaskGroup(of: UnixMicroseconds?.self) { group in
      for member in await membership.members where member.standing == .alive {
        guard let address = SocketAddress(member.profile.address) else { continue }
        group.addTask {
          let answer = try? await endpoint.ask(
            member.node, at: address, method: FabricMethod.clock.rawValue, [], deadline: timeout)
          var reader = ByteReader(answer ?? [])
          return try? reader.take(UnixMicroseconds.self)
        }
      }
      return await group.reduce(into: []) { clocks, clock in if let clock { clocks.append(clock) } }
    }
  }

  var committedTime: UnixMicroseconds? {
    control.view.with { $0.cluster[Self.timeKey] }.flatMap { entry in
      var reader = ByteReader(entry.value)
      return try? reader.take(UnixMicroseconds.self)
    }
  }
}
