// All shards of one node: the machine that says who leads, one machine for each replica, and everything live around them.
//
// It lives on the fabric's loop. An event steps a machine; what the machine wants is put into one list and done in its
// order, also what that brings about in the other machines; only then what is to be sent leaves. Nothing here waits: the
// control store, the disk and the engine are asked on threads of their own and answer as events. What a request must know
// at once stands in a table that any thread may read (`ShardTable`).

package import Base
package import Control
package import ControlStores
import Disk
package import Fabric
import Formats
import Logging
package import Replication
import ShardStore
import Threads
package import UVLoop

package actor ShardService {
  package nonisolated let loop: UVLoop
  package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  package struct Setup: Sendable {
    package var node: NodeID
    package var engine: any ShardEngine
    package var store: any ControlStore
    /// Where promises and the life's number are kept.
    package var directory: String
    package var ownership = OwnershipConfiguration()
    package var replication = ReplicationConfiguration()
    /// A log that owes a sync for so long has stalled: this node grants and asks for no leases meanwhile.
    package var stallLimit = Interval.milliseconds(1500)
    package var addressOf: @Sendable (NodeID) -> SocketAddress?
    /// Fetches an account's base from a node and installs it; false when that node has none to give yet.
    package var bases: ShardTransfer?
    /// Fetches bytes and keys of recordings from a node, durable when it returns.
    package var recordings: RecordingTransfer?

    package init(
      node: NodeID, engine: any ShardEngine, store: any ControlStore, directory: String,
      addressOf: @escaping @Sendable (NodeID) -> SocketAddress?
    ) {
      self.node = node
      self.engine = engine
      self.store = store
      self.directory = directory
      self.addressOf = addressOf
    }
  }

  enum Output {
    case ownership(OwnershipEffect)
    case replica(ShardReplica, ReplicationEffect)
    case replicaTimer(ShardReplica, Instant)
    case letter(AccountID, [UInt8], NodeID)
    case beat([UInt8], NodeID)
    case ask(UInt64, Ask)
    case persist(OwnershipPromise)
    case timer(Instant)
  }

  enum Ask {
    case list(String)
    case get(String)
    case transact([OwnershipPut])
    case watch(String, Int64)
  }

  let setup: Setup
  let logger = Logger(label: "shards")
  nonisolated let table: ShardTable
  let links: ShardLinks<ReplicationMessage>
  let mailbox: ShardMailbox
  private let control: OwnershipRecords
  private var promises: PromiseStore?
  var ownership: OwnershipDriver
  var replicas: [AccountID: ShardReplica] = [:]
  /// Replicas by the nodes they speak with, and the nodes that can be sent records.
  var byPeer: [NodeID: Set<AccountID>] = [:]
  var linesUp: Set<NodeID> = []
  var timers = ShardTimers()
  /// Since when the logs of these accounts owe a sync, and when any of them last was synced.
  var unsynced: [AccountID: Instant] = [:]
  var lastSync = Instant(nanoseconds: 0)
  /// Who waits for the end of an epoch that was asked for.
  var endings: [AccountID: [(number: Int, continuation: CheckedContinuation<Void, Never>)]] = [:]
  var nextEnding = 0
  private var outputs: [Output] = []
  private var isDraining = false
  private var ownershipTimer: UVTimer?
  private var replicaTimer: UVTimer?
  private var replicaWake: Instant?
  private var stallTimer: UVTimer?
  private var flusher: UVTail?
  private var isStalled = false
  var isOver = false
  private var hasToldFailure = false

  package init(_ setup: Setup, endpoint: FabricEndpoint, on loop: UVLoop) {
    self.setup = setup
    self.loop = loop
    table = ShardTable(node: setup.node)
    ownership = OwnershipDriver(OwnershipMachine(node: setup.node, configuration: setup.ownership))
    let entry = Entry()
    mailbox = ShardMailbox(loop) { entry.service?.assumeIsolated { $0.takeMail() } }
    links = ShardLinks(
      endpoint: endpoint, on: loop, addressOf: setup.addressOf,
      ShardLinks.Handlers(
        read: Self.verified,
        beat: { bytes, sender in entry.service?.assumeIsolated { $0.heard(bytes, from: sender) } },
        message: { message, sender in entry.service?.assumeIsolated { $0.heard(message, from: sender) } },
        line: { node, isUp in entry.service?.assumeIsolated { $0.line(to: node, isUp: isUp) } }))
    control = OwnershipRecords(setup.store) { request, answer in await entry.service?.receive(answer, to: request) }
    entry.set(self)
  }

  /// For callbacks that are made before the service is.
  private final class Entry: Sendable {
    private struct Place { weak var service: ShardService? }
    private let place = Lock(Place())
    var service: ShardService? { place.with { $0.service } }
    func set(_ service: ShardService) { place.with { $0.service = service } }
  }

  static var now: Instant { MembershipService.now }

  /// A message whose records are what their checksums say.
  @Sendable private static func verified(_ bytes: [UInt8]) -> ReplicationMessage? {
    guard let message = try? ReplicationMessage(bytes) else { return nil }
    if case .append(let append) = message {
      for record in append.records where !Engine.isWhole(record) { return nil }
    }
    return message
  }

  // MARK: life

  /// Reads what this node promised, draws its life, and takes part from then on.
  package func start() async throws(NodeError) {
    let directory = setup.directory
    let stored: @Sendable ([OwnershipPromise]) -> Void = { [weak self] batch in
      guard let service = self else { return }
      service.loop.submit { service.assumeIsolated { $0.persisted(batch) } }
    }
    let opened: (UInt64, PromiseStore)
    do {
      opened = try await blocking {
        let disk = RealDisk()
        let life = try NodeLife.next(disk, directory + "/life")
        let store = try PromiseStore(path: directory + "/promises.sqlite", stored: stored)
        try disk.syncDirectory(directory)
        return (life, store)
      }
      try makeTimers()
      try await links.start()
    } catch {
      throw NodeError(describing: error)
    }
    promises = opened.1
    setup.engine.setSink(mailbox)
    let table = table
    setup.engine.setLeaseCheck { table.mayServe($0, $1, at: Self.now) }
    step(.start(life: opened.0, promises: opened.1.promises))
  }

  private func makeTimers() throws(UVError) {
    ownershipTimer = try UVTimer(on: loop) { _ in self.step(.tick) }
    replicaTimer = try UVTimer(on: loop) { _ in self.replicasDue() }
    flusher = try UVTail(on: loop) { [weak self] in self?.assumeIsolated { $0.flush() } }
    let watch = try UVTimer(on: loop) { late in self.watchStall(Interval(late)) }
    watch.start(after: .milliseconds(100), every: .milliseconds(100))
    stallTimer = watch
  }

  /// Takes no part any more, and gives back what it holds.
  package func stop() async {
    isOver = true
    for timer in [ownershipTimer, replicaTimer, stallTimer] { timer?.close() }
    await links.stop()
    for account in endings.keys { tellEnding(account) }
    table.close()
    await control.close()
    let (promises, links) = (promises, links)
    try? await blocking {
      promises?.close()
      links.stopVerifier()
    }
  }

  // MARK: events of ownership

  func step(_ event: OwnershipEvent) { run { driver, now, port in driver.step(event, at: now, on: &port) } }

  func run(_ body: (inout OwnershipDriver, Instant, inout ShardOwnershipPort) -> Void) {
    guard !isOver else { return }
    var port = ShardOwnershipPort()
    body(&ownership, Self.now, &port)
    outputs += port.outputs
    drain()
  }

  private func persisted(_ batch: [OwnershipPromise]) { for promise in batch { step(.persisted(promise)) } }

  private func heard(_ bytes: [UInt8], from sender: NodeID) {
    guard let message = try? OwnershipMessage(bytes) else {
      // It counts what it cannot read.
      return run { $0.receive(bytes, from: sender, now: $1, on: &$2) }
    }
    step(.message(message, from: sender))
    noteLease(of: sender, message)
  }

  /// What `isUp` says of a standing link, beats and records follow with lines of their own.
  package func linkUp(_ node: NodeID) { links.assumeIsolated { $0.linkUp(node) } }

  package func hint(_ hint: OwnershipHint, about node: NodeID) { step(.hint(hint, about: node)) }

  package func serve(_ channel: FabricChannel) { links.assumeIsolated { $0.serve(channel) } }

  private func receive(_ answer: OwnershipRecords.Answer, to request: UInt64) {
    switch answer {
    case .list(let range):
      let values = range.entries.map { (value: $0.value, revision: $0.revision) }
      run { $0.listed(request, values, revision: range.revision, now: $1, on: &$2) }
      forgetMissing(Set(range.entries.map(\.key)))
    case .entry(let entry):
      let value = entry.map { (value: $0.value, revision: $0.revision) }
      run { $0.got(request, value, now: $1, on: &$2) }
    case .transacted(let outcome):
      step(.answer(request, .transacted(succeeded: outcome.succeeded, revision: outcome.revision)))
    case .changes(let events): changed(request, events)
    case .watchEnded(let isCompacted): step(.answer(request, .watchEnded(isCompacted: isCompacted)))
    case .failed(let isUnknown): step(.answer(request, .failed(isUnknown: isUnknown)))
    }
  }

  private func changed(_ request: UInt64, _ events: [ControlEvent]) {
    var changes: [(key: String, value: [UInt8]?, revision: Int64)] = []
    var removed: [AccountID] = []
    for event in events {
      switch event {
      case .put(let entry): changes.append((entry.key, entry.value, entry.revision))
      case .deleted(let key, let revision):
        changes.append((key, nil, revision))
        if let account = OwnershipRecord.account(ofKey: key) { removed.append(account) }
      case .damaged(let key, _):
        // What is known stays in force; the store names the key to the operator.
        logger.error("an ownership record cannot be read", metadata: ["key": "\(key)"])
      }
    }
    let revision = events.map(\.revision).max() ?? 0
    run { $0.changed(request, changes, revision: revision, now: $1, on: &$2) }
    for account in removed where ownership.machine.record(account) == nil { forget(account) }
  }

  // MARK: effects

  func put(_ output: Output) { outputs.append(output) }

  /// In the order of the effects, also of those that an effect brings about.
  func drain() {
    guard !isDraining else { return }
    isDraining = true
    var next = 0
    while next < outputs.count {
      let output = outputs[next]
      next += 1
      perform(output)
    }
    outputs.removeAll(keepingCapacity: true)
    isDraining = false
    if let flusher { flusher.schedule() } else { flush() }
  }

  /// What the steps of one callback have to say leaves together.
  private func flush() {
    links.assumeIsolated { $0.flush() }
    armReplicaTimer()
  }

  private func perform(_ output: Output) {
    switch output {
    case .ownership(let effect): perform(effect)
    case .replica(let replica, let effect): perform(effect, of: replica)
    case .replicaTimer(let replica, let instant): timers.set(replica, instant)
    case .letter(let account, let bytes, let node):
      links.assumeIsolated { $0.send(ShardLetter(account: account, bytes: bytes), to: node) }
    case .beat(let bytes, let node): links.assumeIsolated { $0.sendBeat(bytes, to: node) }
    case .persist(let promise): promises?.persist(promise)
    case .timer(let instant): ownershipTimer?.start(after: Self.delay(to: instant))
    case .ask(let request, let ask):
      switch ask {
      case .list(let prefix): control.list(request, prefix: prefix)
      case .get(let key): control.get(request, key: key)
      case .transact(let puts): control.transact(request, puts)
      case .watch(let prefix, let revision): control.watch(request, prefix: prefix, from: revision)
      }
    }
  }

  private static func delay(to instant: Instant) -> Duration {
    .nanoseconds(max(0, instant.nanoseconds.subtractingReportingOverflow(now.nanoseconds).partialValue))
  }

  // MARK: timers

  private func armReplicaTimer() {
    guard let next = timers.next, next < replicaWake ?? Instant(nanoseconds: .max) else { return }
    replicaWake = next
    replicaTimer?.start(after: Self.delay(to: next))
  }

  private func replicasDue() {
    replicaWake = nil
    let now = Self.now
    while let replica = timers.due(at: now) { step(replica, .tick) }
    armReplicaTimer()
  }

  /// Ten times a second: is the disk or the loop so slow that others should lead?
  private func watchStall(_ late: Interval) {
    let now = Self.now
    tellFailure()
    // One account that waits for its sync may have been closed; a log that syncs nothing stands still.
    let logStands = now - lastSync > setup.stallLimit && unsynced.values.contains { now - $0 > setup.stallLimit }
    let isSlow = logStands || late > setup.ownership.lease
    guard isSlow != isStalled else { return }
    isStalled = isSlow
    logger.warning(isSlow ? "this node stalls and asks for no leases" : "this node moves again")
    step(.stalled(isSlow))
  }
}

extension ShardService {
  /// Once.
  private func tellFailure() {
    guard !hasToldFailure, let failure = promises?.failure else { return }
    hasToldFailure = true
    logger.error(
      "this node adopts no new epochs until it is started again on a disk that works",
      metadata: ["reason": "\(failure.message)"])
  }
}

/// Collects what a step of ownership wants done.
struct ShardOwnershipPort: OwnershipPort {
  var outputs: [ShardService.Output] = []

  mutating func send(_ message: [UInt8], to node: NodeID) { outputs.append(.beat(message, node)) }
  mutating func list(_ request: UInt64, prefix: String) { outputs.append(.ask(request, .list(prefix))) }
  mutating func get(_ request: UInt64, key: String) { outputs.append(.ask(request, .get(key))) }
  mutating func transact(_ request: UInt64, _ puts: [OwnershipPut]) { outputs.append(.ask(request, .transact(puts))) }
  mutating func watch(_ request: UInt64, prefix: String, from revision: Int64) {
    outputs.append(.ask(request, .watch(prefix, revision)))
  }
  mutating func persist(_ promise: OwnershipPromise) { outputs.append(.persist(promise)) }
  mutating func perform(_ effect: OwnershipEffect) { outputs.append(.ownership(effect)) }
  mutating func setTimer(_ instant: Instant) { outputs.append(.timer(instant)) }
}
