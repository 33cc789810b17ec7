// Who may lead a shard, and until when (DESIGN.md 4), for all shards of one node, as a value: one event and an instant
// in, effects in the order of their execution out; it never throws and never waits.
//
// The control store decides: one compare-and-set makes an epoch without a primary, a second names the voter whose log
// reaches farthest. Between them voters stop granting and acknowledging, wait out the leases that they granted, and make
// the adopted epoch durable before they report. Leases are per pair of nodes. Not here: records and their replication,
// which ask `mayStore`, `mayAcknowledge` and `mayServe`, and hear `fence`, `follow`, `lead` and `stop`.

package import Base
import Formats

package struct OwnershipMachine: Sendable {
  package enum Phase: Sendable, Equatable {
    case idle
    case running
  }

  package let node: NodeID
  package let configuration: OwnershipConfiguration
  package internal(set) var phase = Phase.idle
  package internal(set) var counters = OwnershipCounters()

  var life: UInt64 = 0
  /// Grants and adopts nothing before: an earlier process may have granted.
  var bindingUntil = Instant(nanoseconds: .max)
  var isStalled = false

  var shards: [OwnedShard] = []
  var shardPlaces: [AccountID: Int] = [:]
  var peers: [OwnershipPeer] = []
  var peerPlaces: [NodeID: Int] = [:]
  var store = OwnershipStoreSession()
  /// Compare-and-sets that this step asks for; sent together.
  var proposals: [OwnershipEntry] = []
  /// Where the round of places told to peers goes on.
  var placeCursor = 0

  var nextBeat = Instant(nanoseconds: .max)
  var wake: Instant?
  private var timer: Instant?
  var effects: [OwnershipEffect] = []

  /// Traps on a configuration that cannot work: `configuration.problem` says why before it comes here.
  package init(node: NodeID, configuration: OwnershipConfiguration) {
    precondition(configuration.problem == nil, "ownership: \(configuration.problem ?? "")")
    self.node = node
    self.configuration = configuration
  }

  package mutating func handle(_ event: OwnershipEvent, at now: Instant) -> [OwnershipEffect] {
    effects = []
    if case .start(let life, let promises) = event { start(life, promises, now) }
    if case .running = phase {
      take(event, now)
      if now >= nextBeat { beat(now) }
      if let wake, wake <= now {
        self.wake = nil
        for i in shards.indices { advance(i, now) }
      }
      flushProposals(now)
      expireRequests(now)
      setTimer()
    }
    defer { effects = [] }
    return effects
  }

  private mutating func take(_ event: OwnershipEvent, _ now: Instant) {
    switch event {
    case .start: break
    case .tick: timer = nil
    case .message(let message, let sender): receive(message, from: sender, now)
    case .answer(let request, let answer): receive(answer, to: request, now)
    case .persisted(let promise): persisted(promise, now)
    case .hint(let hint, let peer): take(hint, about: peer, now)
    case .stalled(let isStalled): self.isStalled = isStalled
    case .fenced(let account, let epoch, let place): withShard(account) { $0.fenced($1, epoch, place, now) }
    case .synced(let account, let place): withShard(account) { $0.synced($1, place) }
    case .acknowledged(let account, let places): withShard(account) { $0.noteAcknowledged($1, places) }
    case .committed(let account, let epoch): withShard(account) { $0.committed($1, epoch, now) }
    case .localWriteFailed(let account): withShard(account) { $0.giveUp($1, now) }
    case .epochFinished(let account, let epoch): withShard(account) { $0.epochFinished($1, epoch, now) }
    case .rebuilt(let account, let place): withShard(account) { $0.rebuilt($1, place) }
    case .handOver(let account, let node): withShard(account) { $0.handOver($1, to: node, now) }
    case .changeVoters(let account, let set, let learners):
      withShard(account) { $0.changeVoters($1, set, learners, now) }
    }
  }

  private mutating func withShard(_ account: AccountID, _ body: (inout OwnershipMachine, Int) -> Void) {
    guard let i = shardPlaces[account] else { return }
    body(&self, i)
  }

  private mutating func start(_ life: UInt64, _ promises: [OwnershipPromise], _ now: Instant) {
    guard case .idle = phase else { return }
    phase = .running
    self.life = life
    bindingUntil = now + configuration.grantLength
    if configuration.plantedBugs.contains(.skipRestartWait) { bindingUntil = now }
    nextBeat = now
    if !configuration.plantedBugs.contains(.forgetPromise) {
      for promise in promises.sorted(by: { $0.account < $1.account }) {
        let i = place(of: promise.account)
        shards[i].promise = promise
        shards[i].vote = .settled(promise.epoch)
        effects.append(.fence(promise.account, promise.epoch))
      }
    }
    readAll(now)
    wakeBy(bindingUntil)
  }

  /// What is due goes on: called after everything that changed the shard, and with every beat.
  mutating func advance(_ i: Int, _ now: Instant) {
    guard let record = shards[i].record else { return }
    if let epoch = shards[i].lead.epoch { watchOwnLead(i, epoch, now) }
    guard record.counts(node) else { return }
    advanceAdoption(i, record, now)
    guard shards[i].vote == .settled(record.epoch) else { return }
    if record.primary == nil {
      tryPromote(i, record, now)
    } else if record.primary == node {
      takeOffice(i, record, now)
    } else {
      watchPrimary(i, record, now)
    }
  }

  mutating func wakeBy(_ instant: Instant) { wake = min(wake ?? instant, instant) }

  private mutating func setTimer() {
    let next = min(nextBeat, wake ?? nextBeat)
    guard next != timer else { return }
    timer = next
    effects.append(.setTimer(next))
  }

  /// Index of the shard, made when it is new.
  mutating func place(of account: AccountID) -> Int {
    if let i = shardPlaces[account] { return i }
    shardPlaces[account] = shards.count
    shards.append(OwnedShard(account: account))
    return shards.count - 1
  }

  mutating func peerPlace(of node: NodeID) -> Int {
    if let i = peerPlaces[node] { return i }
    peerPlaces[node] = peers.count
    peers.append(OwnershipPeer(node: node))
    return peers.count - 1
  }
}
