// One replica of one shard, as a value: primary, voter or learner (DESIGN.md 3.4 to 3.6). One event and an instant in,
// effects in the order of their execution out; it never throws and never waits.
//
// The primary sends its log's records, replicas store what follows what they have, cut back what contradicts it, and
// acknowledge what their disk has; what a write set has is committed, from the epoch's own first record on. Not here:
// who leads (Control says it), disks, snapshots, the bytes of recordings.

package import Base
import Formats

package struct ReplicaMachine: Sendable {
  package let node: NodeID
  package let account: AccountID
  package let configuration: ReplicationConfiguration
  package internal(set) var counters = ReplicationCounters()
  package internal(set) var freshness: ReplicaFreshness?
  /// Its log lost or contradicts what it must have: it takes no part any more.
  package internal(set) var isDamaged = false

  var log: ReplicaLog
  var record: OwnershipRecord?
  /// Nothing older is stored or acknowledged.
  var fencedEpoch: Epoch = 0
  var follow: ReplicaFollow?
  var lead: ReplicaLead?
  /// The last term that was ended from outside: a hand-over that failed goes on with it.
  var endedLead: ReplicaLead?
  var peers: [ReplicaPeer] = []
  /// Nodes with a stream, peers or not.
  var connected: Set<NodeID> = []
  /// Of the last place that ownership was told.
  var toldEpoch: Epoch?

  var commitTellAt: Instant?
  var placesTellAt: Instant?
  var startedAt: Instant?
  private var timer: Instant?
  var effects: [ReplicationEffect] = []

  /// Traps on a configuration that cannot work: `configuration.problem` says why before it comes here.
  package init(
    node: NodeID, account: AccountID, configuration: ReplicationConfiguration, standing: ReplicaStanding
  ) {
    precondition(configuration.problem == nil, "replication: \(configuration.problem ?? "")")
    self.node = node
    self.account = account
    self.configuration = configuration
    log = ReplicaLog(standing)
  }

  package mutating func handle(_ event: ReplicationEvent, at now: Instant) -> [ReplicationEffect] {
    effects = []
    if startedAt == nil { startedAt = now }
    if !isDamaged {
      take(event, now)
      if lead != nil { drive(now) }
      tell(now)
      setTimer()
    }
    defer { effects = [] }
    return effects
  }

  private mutating func take(_ event: ReplicationEvent, _ now: Instant) {
    switch event {
    case .configure(let record): configure(record, now)
    case .follow(let epoch): follow(epoch)
    case .fence(let epoch): fence(epoch)
    case .acknowledge(let epoch): permitAcknowledging(epoch, now)
    case .lead(let epoch): begin(ReplicaLead(epoch: epoch), now)
    case .stop(let epoch): stop(epoch)
    case .finish(let epoch, let successor): if lead?.epoch == epoch { lead?.successor = successor }
    case .resume(let epoch): resume(epoch, now)
    case .appended(let records): appended(records)
    case .synced(let position): synced(position, now)
    case .failed(let position): failed(position)
    case .cutDone(let position): cutDone(position, now)
    case .available(let ids): available(ids, now)
    case .read(let node, let from, let records): wasRead(for: node, from: from, records, now)
    case .rebased(let standing): rebased(standing)
    case .refresh: refresh(now)
    case .message(let message, let sender, let naming): receive(message, from: sender, naming, now)
    case .peerUp(let node):
      connected.insert(node)
      withPeer(node) { $0.up($1, now) }
    case .peerDown(let node):
      connected.remove(node)
      withPeer(node) { machine, i in machine.down(i) }
    case .tick: timer = nil
    }
  }

  private mutating func receive(
    _ message: ReplicationMessage, from sender: NodeID, _ naming: [LogIndex: [RecordingID]], _ now: Instant
  ) {
    guard message.account == account, sender != node else { return counters.strangerDrops += 1 }
    switch message {
    case .append(let append): receive(append, from: sender, naming, now)
    case .ack(let ack): receive(ack, from: sender, now)
    case .refuse(let refusal): receive(refusal, from: sender, now)
    case .base(let base): receive(base, from: sender)
    }
  }

  mutating func withPeer(_ node: NodeID, _ body: (inout ReplicaMachine, Int) -> Void) {
    guard let i = peers.firstIndex(where: { $0.node == node }) else { return }
    body(&self, i)
  }

  mutating func damage(_ why: String) {
    isDamaged = true
    lead = nil
    follow = nil
    effects.append(.damaged(why))
  }

  /// Only ever earlier: an early tick finds nothing to do and sets the next one.
  private mutating func setTimer() {
    var next = [commitTellAt, placesTellAt].compactMap { $0 }.min()
    if lead != nil {
      for peer in peers {
        if let due = patienceEnd(peer) { next = min(next ?? due, due) }
      }
    }
    guard let next, next < timer ?? Instant(nanoseconds: .max) else { return }
    timer = next
    effects.append(.setTimer(next))
  }
}
