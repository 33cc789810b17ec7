// This node's part in its cluster: the loop with fabric and membership, and what follows from the control store.
//
// The control store says who belongs to the cluster and where (node records); the membership says who lives. From the
// first follow the links that are kept, who is refused, and the datagrams' keys; both together are what `cluster status`
// shows. Chores that one node does for all are the caretaker's.

import Base
import Control
import ControlStores
import Disk
import Fabric
import Formats
import Logging
import Membership
import OpenSSL
import ShardStore
import Threads
import UVLoop

final class ClusterService: Sendable {
  struct Parts: Sendable {
    var configuration: NodeConfiguration
    var material: ClusterMaterial
    var nodeID: NodeID
    var control: ControlDirectory
    var metrics: MetricsRegistry
    var clock: any StoreClock
    var engine: Engine
    /// The operator's own certificate for the fabric; nil for what the cluster issues.
    var ownCredentials: TLSCredentials?
    /// Writes the cluster file anew.
    var save: @Sendable (ClusterMaterial) throws -> Void
    /// How many accounts this node holds, in thousandths of what it may have open.
    var loadPermille: @Sendable () -> Int

    /// What the fabric is shown, and whom it believes: the cluster's authority always, the operator's beside it.
    func credentials(_ material: ClusterMaterial) -> TLSCredentials {
      guard var own = ownCredentials else { return material.credentials }
      own.authorities.append(material.authority)
      return own
    }
  }

  let parts: Parts
  let addresses: ClusterAddresses
  let material: Lock<ClusterMaterial>
  let endpoint: FabricEndpoint
  let membership: MembershipService
  let shards: ShardService
  let dispatch: ClusterDispatch
  let logger = Logger(label: "cluster")
  private let loop: UVLoop
  private let tasks = Lock<[Task<Void, Never>]>([])
  private let lastChange = Lock<String?>(nil)
  /// Ends when this node was removed.
  let removal: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation) = AsyncStream.makeStream()
  let applied: Lock<AppliedCertificates>
  let certificatesGate = SerialGate()
  /// The file is changed by one at a time.
  let materialGate = SerialGate()

  var configuration: NodeConfiguration { parts.configuration }
  var nodeID: NodeID { parts.nodeID }
  var control: ControlDirectory { parts.control }

  init(_ parts: Parts) throws {
    self.parts = parts
    addresses = try ClusterAddresses(parts.configuration)
    material = Lock(parts.material)
    applied = Lock(AppliedCertificates(parts.material))
    let loop = UVLoop(name: "fabric")
    self.loop = loop
    dispatch = ClusterDispatch()
    do {
      endpoint = try Self.endpoint(parts, addresses, loop, dispatch)
    } catch {
      Thread.stop(loop)
      throw error
    }
    let timers = parts.configuration.fabric
    let (control, logger) = (parts.control, logger)
    let change = lastChange
    let clock = parts.clock
    shards = Self.shards(parts, endpoint, loop, dispatch)
    let shards = shards
    guard let own = GossipAddress(addresses.fabric) else { preconditionFailure("an address has 4 or 16 bytes") }
    membership = MembershipService(
      MembershipService.Setup(
        node: parts.nodeID,
        profile: GossipProfile(
          address: own, name: parts.configuration.name, region: parts.configuration.region,
          zone: parts.configuration.zone),
        configuration: timers.swim, incarnationPath: parts.configuration.paths.data + "/incarnation",
        questionTimeout: timers.questionTimeout,
        nodeAt: { address in
          control.view.with { view in view.nodes.values.first { $0.record.fabric == "\(address)" }?.record.id }
        },
        onNews: { news in
          if let (hint, node) = news.hint { shards.assumeIsolated { $0.hint(hint, about: node) } }
          guard let line = news.line else { return }
          logger.info("membership", metadata: ["news": "\(line)"])
          change.with { $0 = "\(clock.now.rfc3339) \(line)" }
        }), endpoint: endpoint, on: loop)
    let membership = membership
    dispatch.set { $0.membership = membership }
  }

  private static func shards(
    _ parts: Parts, _ endpoint: FabricEndpoint, _ loop: UVLoop, _ dispatch: ClusterDispatch
  ) -> ShardService {
    let control = parts.control
    let addressOf: @Sendable (NodeID) -> SocketAddress? = { id in
      control.view.with { $0[id]?.record }.flatMap { SocketAddress($0.fabric) }
    }
    let place = Lock<ShardTable?>(nil)
    let recordOf: @Sendable (AccountID) -> OwnershipRecord? = { id in place.with { $0 }?.record(id) }
    let bases = BaseExchange(parts.engine, endpoint, addressOf: addressOf, recordOf: recordOf)
    let recordings = RecordingExchange(parts.engine, endpoint, addressOf: addressOf, recordOf: recordOf)
    var setup = ShardService.Setup(
      node: parts.nodeID, engine: parts.engine, store: control.store, directory: parts.configuration.paths.data,
      addressOf: addressOf)
    setup.bases = ShardTransfer { try await bases.fetch($0, from: $1) }
    setup.recordings = RecordingTransfer { try await recordings.fetch($0, $1, from: $2) }
    let shards = ShardService(setup, endpoint: endpoint, on: loop)
    place.with { $0 = shards.table }
    dispatch.set { handlers in
      handlers.shards = shards
      for method in [FabricMethod.shardBeats, .shardRecords] {
        handlers.channels[method.rawValue] = ClusterDispatch.Channel { channel, _ in await shards.serve(channel) }
      }
      handlers.bulks[FabricMethod.shardBase.rawValue] = { await bases.source($0, for: $1) }
      handlers.bulks[FabricMethod.shardRecording.rawValue] = { await recordings.source($0, for: $1) }
    }
    return shards
  }

  private static func endpoint(
    _ parts: Parts, _ addresses: ClusterAddresses, _ loop: UVLoop, _ dispatch: ClusterDispatch
  ) throws -> FabricEndpoint {
    let timers = parts.configuration.fabric
    var fabric = FabricConfiguration(
      address: addresses.listen, credentials: parts.credentials(parts.material), datagramKeys: parts.material.ring.keys)
    // Programs too: what they may ask is in `ClusterDispatch`.
    fabric.roles = [.node, .client]
    fabric.joinMethod = FabricMethod.join.rawValue
    fabric.handshakeTimeout = timers.handshakeTimeout
    fabric.joinTimeout = timers.questionTimeout * 2
    fabric.linksMax = max(parts.configuration.limits.connectionsCount, 64)
    return try FabricEndpoint(fabric, on: loop, service: dispatch)
  }

  /// Binds, tells the cluster where it is, and begins to gossip.
  func start() async throws(NodeError) {
    await takeDatagramClock()
    do {
      _ = try await endpoint.start()
    } catch {
      throw NodeError(
        .refused, "\(addresses.listen) cannot be used for the fabric (\(error)): choose another [listen] fabric")
    }
    serve()
    serveMoves()
    try await checkMember()
    try await register()
    // One waiting signal is enough: whoever takes it looks at everything.
    let (changes, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    control.subscribe { event in
      if event.key.hasPrefix(ControlKeys.nodes) || [Self.ringKey, Self.endpointsKey].contains(event.key) {
        signal.yield()
      }
    }
    await takeNodes()
    await takeRing()
    await takeEndpoints()
    do {
      let stored = try await blocking { [path = parts.configuration.paths.data + "/incarnation"] in
        try Self.storedIncarnation(path)
      }
      try await membership.start(stored: stored, seeds: seeds)
    } catch {
      throw NodeError(.io, "the membership cannot start: \(error)")
    }
    try await shards.start()
    run { service in
      for await _ in changes {
        await service.takeNodes()
        await service.takeRing()
        await service.takeEndpoints()
      }
    }
    // What failed is tried again.
    run { service in
      while !Task.isCancelled {
        try? await Task.sleep(for: .seconds(10))
        signal.yield()
      }
    }
    run { await $0.sampleHealth() }
    run { await $0.keepDatagramClock() }
    run { await $0.keepCertificates() }
    run { await $0.takeCare() }
  }

  private func run(_ body: @escaping @Sendable (ClusterService) async -> Void) {
    let task = Task { [weak self] in
      if let self { await body(self) }
    }
    tasks.with { $0.append(task) }
  }

  /// Says goodbye to the others, if it shall, then ends everything.
  func close(saysGoodbye: Bool, handsOver: Bool = true) async {
    let running = tasks.with { $0 }
    for task in running { task.cancel() }
    for task in running { await task.value }
    if saysGoodbye, handsOver { await shards.handOverAll(within: configuration.fabric.handOverWait) }
    await shards.stop()
    if saysGoodbye { await membership.leave() }
    await membership.stop()
    await endpoint.close()
    await withCheckedContinuation { continuation in
      _ = Threads.Thread(name: "stop") { [loop] in
        loop.stop()
        continuation.resume()
      }
    }
  }

  /// No other node belongs to the cluster, or this one no longer does.
  var isAlone: Bool {
    control.view.with { view in
      let active = view.nodes.values.map(\.record).filter { $0.state == .active || $0.state == .draining }
      return !active.contains { $0.id == nodeID } || active.count < 2
    }
  }

  // MARK: records

  private var seeds: [GossipAddress] {
    let known = control.view.with { view in
      view.nodes.values.filter { $0.record.id != nodeID && $0.record.state != .removed }.map(\.record.fabric)
    }
    return known.sorted().compactMap { SocketAddress($0) }.compactMap { GossipAddress($0) }
  }

  /// Puts this node's record where it is missing or out of date.
  private func register() async throws(NodeError) {
    let (id, addresses, configuration) = (nodeID, addresses, parts.configuration)
    let (isIssuer, ring, now) = material.with { ($0.authorities != nil, $0.ring, parts.clock.now) }
    try await control.change { view throws(NodeError) -> PlannedChange<Void> in
      let present = view[id]
      var record =
        present?.record
        ?? NodeRecord(
          id: id, name: configuration.name, region: configuration.region, zone: configuration.zone, fabric: "", url: "",
          state: .joining, joinedAt: now, isIssuer: isIssuer, ringGeneration: 0)
      guard record.state != .removed else {
        throw NodeError(.refused, "this node was removed from the cluster: join again with an empty data directory")
      }
      if let other = view.node(named: configuration.name), other.record.id != id {
        throw NodeError(.refused, "the cluster has another node named \(configuration.name): choose another node.name")
      }
      if record.state == .joining { record.state = .active }
      record.name = configuration.name
      record.region = configuration.region
      record.zone = configuration.zone
      record.fabric = "\(addresses.fabric)"
      record.url = addresses.url
      record.isIssuer = isIssuer
      guard record != present?.record else { return PlannedChange(changes: [], value: ()) }
      let key = ControlKeys.node(id)
      var changes: [ControlChange] = [.put(key, try ControlKeys.encode(StoredNode(record)))]
      var conditions = [ControlCondition(key, at: present?.revision ?? 0)]
      if record.name != present?.record.name {
        let (condition, mark) = view.addingName(.nodes)
        conditions.append(condition)
        changes.append(mark)
      }
      if view.cluster[Self.ringKey] == nil {
        changes.append(.put(Self.ringKey, ring.contents.encode()))
        conditions.append(.absent(Self.ringKey))
      }
      return PlannedChange(conditions: conditions, changes: changes, value: ())
    }
  }

  static let ringKey = ControlKeys.cluster + "ring"

  /// Keeps links to who belongs to the cluster, refuses who was removed.
  private func takeNodes() async {
    let records = control.view.with { $0.nodes.values.map(\.record) }
    if records.contains(where: { $0.id == nodeID && $0.state == .removed }) {
      logger.error("this node was removed from the cluster and ends")
      removal.continuation.finish()
    }
    await endpoint.refuse(Set(records.filter { $0.state == .removed }.map(\.id)))
    for record in records where record.id != nodeID && record.state != .joining {
      if record.state == .removed {
        await endpoint.forget(record.id)
      } else if let address = SocketAddress(record.fabric) {
        await endpoint.keep(record.id, at: address)
      }
    }
  }

  /// Takes over the ring that the control store has, and says so in this node's record.
  private func takeRing() async {
    guard let entry = control.view.with({ $0.cluster[Self.ringKey] }),
      let contents = try? DatagramRingContents(entry.value)
    else { return }
    let ring = DatagramRing(contents)
    await endpoint.use(ring.keys)
    do {
      if material.with({ $0.ring.generation < ring.generation }) { try await changeMaterial { $0.ring = ring } }
      let id = nodeID
      try await control.change { view throws(NodeError) in
        guard let node = view[id], node.record.ringGeneration < ring.generation else {
          return PlannedChange(changes: [], value: ())
        }
        var record = node.record
        record.ringGeneration = ring.generation
        let key = ControlKeys.node(id)
        return PlannedChange(
          conditions: [ControlCondition(key, at: node.revision)],
          changes: [.put(key, try ControlKeys.encode(StoredNode(record)))], value: ())
      }
    } catch {
      logger.warning("datagram keys not taken over yet", metadata: ["reason": "\(error)"])
    }
  }

  /// Durable first, then in memory.
  func changeMaterial(_ change: @escaping @Sendable (inout ClusterMaterial) -> Void) async throws {
    let (material, save) = (material, parts.save)
    try await materialGate.run {
      let next = material.with { present in
        var next = present
        change(&next)
        return next
      }
      try await blocking { try save(next) }
      material.with { $0 = next }
    }
  }

  private static func storedIncarnation(_ path: String) throws -> Incarnation {
    let disk = RealDisk()
    guard try disk.info(path) != nil else { return 0 }
    let text = String(decoding: try disk.readAll(path, limit: 64), as: UTF8.self)
    guard let number = Incarnation(String(text.prefix { !$0.isNewline })) else {
      throw NodeError(.io, "\(path) does not hold a number: restore it, or remove it only together with the node's id")
    }
    return number
  }

  var lastNews: String? { lastChange.with { $0 } }
}

extension MembershipNews {
  /// For whoever waits for a primary.
  var hint: (OwnershipHint, NodeID)? {
    switch self {
    case .suspect(let member): (.suspect, member.node)
    case .dead(let member), .left(let member): (.dead, member.node)
    case .alive, .healthChanged, .forgotten: nil
    }
  }

  /// For people; nil for what is no change of somebody's standing.
  var line: String? {
    switch self {
    case .alive(let member): "\(member.profile.name) is alive (incarnation \(member.incarnation))"
    case .suspect(let member): "\(member.profile.name) is suspected"
    case .dead(let member): "\(member.profile.name) is dead"
    case .left(let member): "\(member.profile.name) has left"
    case .healthChanged, .forgotten: nil
    }
  }
}

extension Threads.Thread {
  /// Ends a loop from a thread of its own: it may not be ended from the cooperative pool, which would block.
  static func stop(_ loop: UVLoop) { _ = Threads.Thread(name: "stop") { loop.stop() } }
}
