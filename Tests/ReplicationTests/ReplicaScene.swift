// One replica under test among nodes, a log and an ownership that the test plays.

import Base
import Formats
import Replication

struct ReplicaScene {
  var machine: ReplicaMachine
  var now = Instant(nanoseconds: 1_000_000_000_000)
  var effects: [ReplicationEffect] = []
  static let account = AccountID(bits: 77)

  static func id(_ n: Int) -> NodeID { NodeID(bits: UInt128(n)) }

  /// Node 1, with a durable log.
  init(
    _ configuration: ReplicationConfiguration = .init(), committed: Position = .start, tail: [SealedRecord] = []
  ) {
    self.init(configuration, standing: ReplicaStanding(committed: committed, tail: tail))
  }

  init(_ configuration: ReplicationConfiguration = .init(), standing: ReplicaStanding) {
    machine = ReplicaMachine(
      node: Self.id(1), account: Self.account, configuration: configuration, standing: standing)
  }

  @discardableResult
  mutating func step(_ event: ReplicationEvent) -> [ReplicationEffect] {
    effects = machine.handle(event, at: now)
    return effects
  }

  /// Time passes, tick by tick; returns all effects.
  @discardableResult
  mutating func wait(_ interval: Interval) -> [ReplicationEffect] {
    var all: [ReplicationEffect] = []
    let end = now + interval
    while now < end {
      now = min(end, now + .milliseconds(1))
      all += step(.tick)
    }
    effects = all
    return all
  }

  static func record(
    _ epoch: Epoch, primary: Int?, voters: [Int] = [1, 2, 3], previous: [Int] = [], learners: [Int] = []
  ) -> OwnershipRecord {
    func replicas(_ numbers: [Int]) -> [OwnershipRecord.Replica] {
      numbers.map { OwnershipRecord.Replica(node: id($0), region: "eu") }
    }
    return OwnershipRecord(
      account: account, goal: 1, epoch: epoch, primary: primary.map(id), voters: replicas(voters),
      previous: replicas(previous), previousGoal: previous.isEmpty ? 0 : 1, learners: replicas(learners))
  }

  /// Records behind `position`: one per epoch named; `open` are those of which more follows in their group.
  static func records(
    after position: Position = .start, _ epochs: [Epoch], open: Set<LogIndex> = [], bytes: Int = 16, salt: UInt64 = 0
  ) -> [SealedRecord] {
    var last = position
    return epochs.map { epoch in
      let index = last.index + 1
      let checksum = Checksum(bits: UInt128(epoch) << 64 | UInt128(index) << 8 | UInt128(salt) << 32 | 1)
      let header = RecordHeader(
        kind: .pages, continues: open.contains(index), account: account, epoch: epoch, index: index, commitIndex: 0,
        time: Int64(index), payloadBytes: bytes, nonce: [UInt8](repeating: 0, count: 12), previous: last.checksum,
        checksum: checksum)
      last = header.position
      return SealedRecord(header: header, frame: header.encode() + [UInt8](repeating: 7, count: bytes))
    }
  }

  // As replica.

  /// A voter in an epoch that node 2 leads.
  mutating func follow(_ epoch: Epoch, acknowledging: Bool = true) {
    step(.fence(epoch))
    step(.configure(Self.record(epoch, primary: 2)))
    step(.follow(epoch))
    if acknowledging { step(.acknowledge(epoch)) }
  }

  @discardableResult
  mutating func append(
    _ epoch: Epoch, behind previous: Position, _ records: [SealedRecord] = [], commit: LogIndex = 0, echo: UInt64 = 0,
    asks: Bool = false, from: Int = 2, naming: [LogIndex: [RecordingID]] = [:]
  ) -> [ReplicationEffect] {
    let append = ReplicationMessage.Append(
      account: Self.account, epoch: epoch, previous: previous, records: records, commit: commit, echo: echo, asks: asks)
    return step(.message(.append(append), from: Self.id(from), naming: naming))
  }

  // As primary.

  /// Leads the epoch with nodes 2 and 3 connected; the first record of the epoch is appended and durable.
  @discardableResult
  mutating func lead(_ epoch: Epoch, _ record: OwnershipRecord? = nil, connected: [Int] = [2, 3]) -> SealedRecord {
    for n in connected { step(.peerUp(Self.id(n))) }
    step(.fence(epoch))
    step(.configure(record ?? Self.record(epoch, primary: 1)))
    step(.follow(epoch))
    step(.acknowledge(epoch))
    step(.lead(epoch))
    return write([epoch])[0]
  }

  /// Appends and, when asked, syncs.
  @discardableResult
  mutating func write(
    _ epochs: [Epoch], open: Set<LogIndex> = [], bytes: Int = 16, sync: Bool = true
  ) -> [SealedRecord] {
    let records = Self.records(after: machine.end, epochs, open: open, bytes: bytes)
    step(.appended(records))
    let first = effects
    if sync, let last = records.last { effects = first + step(.synced(last.position)) }
    return records
  }

  @discardableResult
  mutating func ack(
    _ position: Position, from n: Int, epoch: Epoch? = nil, end: LogIndex? = nil, sentAt: UInt64 = 0, asks: Bool = false
  ) -> [ReplicationEffect] {
    let ack = ReplicationMessage.Ack(
      account: Self.account, epoch: epoch ?? machine.leading ?? 0, synced: position, end: end ?? position.index,
      applied: 0, sentAt: sentAt, asks: asks)
    return step(.message(.ack(ack), from: Self.id(n)))
  }

  @discardableResult
  mutating func refuse(
    from n: Int, behind previous: LogIndex, end: Position, committed: Position = .start, epoch: Epoch? = nil,
    why: ReplicationMessage.Refusal.Reason = .mismatch
  ) -> [ReplicationEffect] {
    let refusal = ReplicationMessage.Refusal(
      account: Self.account, epoch: epoch ?? machine.leading ?? 0, previous: previous, end: end, committed: committed,
      why: why)
    return step(.message(.refuse(refusal), from: Self.id(n)))
  }
}

extension [ReplicationEffect] {
  func appends(to n: Int) -> [ReplicationMessage.Append] {
    compactMap { if case .send(.append(let m), ReplicaScene.id(n)) = $0 { m } else { nil } }
  }
  var acks: [ReplicationMessage.Ack] { compactMap { if case .send(.ack(let m), _) = $0 { m } else { nil } } }
  var refusals: [ReplicationMessage.Refusal] {
    compactMap { if case .send(.refuse(let m), _) = $0 { m } else { nil } }
  }
  var stored: [SealedRecord] {
    reduce(into: []) { result, effect in
      if case .store(let records) = effect { result += records }
    }
  }
  var published: [Position] { compactMap { if case .publish(let position) = $0 { position } else { nil } } }
  var cuts: [Position] { compactMap { if case .cut(let position) = $0 { position } else { nil } } }
  var isDamaged: Bool { contains { if case .damaged = $0 { true } else { false } } }
}
