// One node under test among nodes, a log and a control store that the test plays.

import Base
import Control
import Formats

struct OwnershipScene {
  var machine: OwnershipMachine
  var now = Instant(nanoseconds: 1_000_000_000_000)
  var effects: [OwnershipEffect] = []
  var revision: Int64 = 1
  let account = AccountID(bits: 77)
  let configuration: OwnershipConfiguration

  static func id(_ n: Int) -> NodeID { NodeID(bits: UInt128(n)) }
  static func voters(_ numbers: [Int] = [1, 2, 3], goal: SurvivalGoal = .node) -> VoterSet {
    VoterSet(goal: goal, voters: numbers.map { Voter(node: id($0), region: "eu") })
  }

  /// Node 1, started, with what its disk had.
  init(promises: [OwnershipPromise] = [], _ configuration: OwnershipConfiguration = .init()) {
    self.configuration = configuration
    machine = OwnershipMachine(node: Self.id(1), configuration: configuration)
    step(.start(life: 1, promises: promises))
  }

  mutating func step(_ event: OwnershipEvent) { effects = machine.handle(event, at: now) }

  func record(_ epoch: Epoch, primary: Int?, _ voters: VoterSet = voters()) -> OwnershipRecord {
    var record = OwnershipRecord(account: account, epoch: epoch, voters: voters)
    record.primary = primary.map { Self.id($0) }
    return record
  }

  /// The store has these records; the watch runs.
  mutating func list(_ records: [OwnershipRecord]) {
    let entries = records.map { OwnershipEntry(record: $0, revision: revision) }
    step(.answer(1, .list(entries, revision: revision)))
  }

  /// The watch tells of a record that was put.
  mutating func watch(_ record: OwnershipRecord, at given: Int64? = nil) {
    revision += 1
    let at = given ?? revision
    step(.answer(2, .changes([OwnershipEntry(record: record, revision: at)], removed: [], revision: at)))
  }

  /// Time passes, tick by tick; returns all effects.
  @discardableResult
  mutating func wait(_ interval: Interval) -> [OwnershipEffect] {
    var all: [OwnershipEffect] = []
    let end = now + interval
    while now < end {
      now = min(end, now + .milliseconds(10))
      step(.tick)
      all += effects
    }
    effects = all
    return all
  }

  mutating func hear(_ message: OwnershipMessage, from n: Int) { step(.message(message, from: Self.id(n))) }

  func claim(_ epoch: Epoch) -> OwnershipClaim { OwnershipClaim(account: account, epoch: epoch) }

  /// The log and the disk answer at once; the other voters report the same place: this node leads the epoch.
  mutating func lead(_ epoch: Epoch) {
    list([record(epoch, primary: nil)])
    step(.fenced(account, epoch, .start))
    wait(configuration.grantLength + .milliseconds(10))
    step(.persisted(OwnershipPromise(account: account, epoch: epoch, floor: .start)))
    watch(record(epoch, primary: 1))
  }

  /// Node `n` takes the claims of the last beat and grants.
  mutating func grant(from n: Int, life: UInt64 = 1, ended: [OwnershipClaim] = []) {
    guard let beat = beats(to: n).last else { return }
    hear(
      .reply(
        .init(
          life: life, holderLife: beat.life, sequence: beat.sequence, isGranted: true, accepted: beat.claims,
          ended: ended)), from: n)
  }

  func sent(to n: Int) -> [OwnershipMessage] {
    effects.compactMap { effect in
      if case .send(let message, let node) = effect, node == Self.id(n) { message } else { nil }
    }
  }

  func beats(to n: Int) -> [OwnershipMessage.Beat] {
    sent(to: n).compactMap { if case .beat(let beat) = $0 { beat } else { nil } }
  }

  func replies(to n: Int) -> [OwnershipMessage.Reply] {
    sent(to: n).compactMap { if case .reply(let reply) = $0 { reply } else { nil } }
  }

  var reports: [OwnershipMessage.Report] {
    var all: [OwnershipMessage.Report] = []
    for case .send(.reports(let reports), _) in effects { all += reports }
    return all
  }

  var persisted: [OwnershipPromise] {
    effects.compactMap { if case .persist(let promise) = $0 { promise } else { nil } }
  }

  var transactions: [(number: UInt64, entries: [OwnershipEntry])] {
    effects.compactMap { if case .request(let n, .transact(let entries)) = $0 { (n, entries) } else { nil } }
  }

  var leads: [OwnershipRecord] { effects.compactMap { if case .lead(let record) = $0 { record } else { nil } } }
}
