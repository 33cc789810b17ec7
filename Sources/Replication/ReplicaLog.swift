// What a replica knows of its own log: where it is committed, how far it is durable, the positions behind the commit
// point, and what a primary sent that has not been handed to the disk yet.
//
// Handed records are in the log; what waits in `intake` follows `base`, which lies before the log's end when the
// primary's records contradict it: then a cut comes first. Nothing at or before `committed` ever changes.

import Base
import Formats

struct ReplicaLog: Sendable {
  struct Place: Sendable {
    let position: Position
    /// The last record of its transaction.
    let endsGroup: Bool

    init(_ record: SealedRecord) {
      position = record.position
      endsGroup = !record.header.continues
    }
  }

  /// Sent by a primary, and waiting for a cut or for recordings.
  struct Waiting: Sendable {
    let record: SealedRecord
    var missing: Set<RecordingID>
  }

  private(set) var committed: Position
  /// Handed to the disk, behind `committed`.
  private(set) var places: [Place]
  private(set) var synced: Position
  var window = RecordWindow()

  var intake: [Waiting] = []
  private(set) var base: Position
  /// Where a cut is under way.
  private(set) var cutting: Position?
  /// How far this log was before tails were cut. A voter is judged by it until it is as far again, since its place must
  /// never go back; it says too much, but only of what can never be committed.
  private(set) var reached: LogPlace

  init(_ standing: ReplicaStanding) {
    committed = standing.committed
    places = standing.tail.map(Place.init)
    synced = standing.tail.last?.position ?? standing.committed
    base = synced
    reached = max(standing.reached, Self.place(synced))
    for record in standing.tail { window.append(record) }
  }

  /// The last record handed to the disk.
  var end: Position { places.last?.position ?? committed }
  /// The last record that a primary's next one would follow.
  var accepted: Position { intake.last?.record.position ?? base }
  static func place(_ position: Position) -> LogPlace { LogPlace(epoch: position.epoch, index: position.index) }

  /// What stands at `index` in the log as the primary has been followed; nil before the commit point and behind the end.
  func position(at index: LogIndex) -> Position? {
    if index > base.index {
      let i = index - base.index - 1
      return i < UInt64(intake.count) ? intake[Int(i)].record.position : nil
    }
    return handed(at: index)
  }

  private func handed(at index: LogIndex) -> Position? {
    if index == committed.index { return committed }
    guard index > committed.index, index - committed.index <= UInt64(places.count) else { return nil }
    return places[Int(index - committed.index - 1)].position
  }

  /// As primary: also what is committed, as long as memory has it.
  func known(at index: LogIndex) -> Position? { handed(at: index) ?? window[index]?.position }

  /// The last group's end at or before `index`, behind the commit point.
  func groupEnd(upTo index: LogIndex) -> Position? {
    guard index > committed.index else { return nil }
    let count = min(places.count, Int(min(index - committed.index, UInt64(Int.max))))
    return places[..<count].last { $0.endsGroup }?.position
  }

  /// The last place at or before `index`, a group's end or not.
  func last(upTo index: LogIndex) -> Position? { index > committed.index ? handed(at: min(index, end.index)) : nil }

  /// Durable, and agrees with a primary that was followed up to `matched`.
  func acknowledgeable(_ matched: LogIndex) -> Position? { handed(at: min(matched, synced.index, base.index)) }

  mutating func hand(_ records: [SealedRecord]) {
    for record in records {
      places.append(Place(record))
      window.append(record)
    }
    base = end
  }

  mutating func commit(_ position: Position) {
    places.removeFirst(Int(position.index - committed.index))
    committed = position
  }

  /// False when it is not news, or not of this log any more.
  mutating func sync(_ position: Position) -> Bool {
    guard position.index > synced.index, handed(at: position.index) == position else { return false }
    synced = position
    reached = max(reached, Self.place(position))
    return true
  }

  /// The primary's next record goes behind `position`, which is not before the commit point.
  mutating func branch(after position: Position) {
    if position.index >= base.index {
      intake.removeSubrange(Int(position.index - base.index)...)
    } else {
      intake = []
      base = position
    }
  }

  /// Those at the front of the intake that wait for no recording.
  var readyCount: Int { intake.firstIndex { !$0.missing.isEmpty } ?? intake.count }

  /// Where a cut must be made before the intake can follow.
  var cutNeeded: Position? { base.index < end.index ? base : nil }

  mutating func beginCut() { cutting = base }

  /// Returns how many records went.
  mutating func endCut() -> Int {
    guard let position = cutting else { return 0 }
    cutting = nil
    // A failed write may have taken away more meanwhile.
    let kept = min(Int(position.index - committed.index), places.count)
    let gone = places.count - kept
    places.removeSubrange(kept...)
    window.drop(after: position.index)
    if synced.index > position.index { synced = position }
    return gone
  }

  mutating func takeReady(_ count: Int) -> [SealedRecord] {
    let records = intake.prefix(count).map(\.record)
    intake.removeFirst(count)
    hand(records)
    return records
  }

  /// What waits is void: its primary is not followed any more.
  mutating func dropIntake() {
    intake = []
    base = cutting ?? end
  }

  /// A base and what follows it stand in the place of everything.
  mutating func rebase(_ standing: ReplicaStanding) { self = ReplicaLog(standing) }

  /// The disk has it up to `position` and nothing behind. False when that is not a place of this log, or less than what
  /// was durable before.
  mutating func fail(at position: Position) -> Bool {
    guard handed(at: position.index) == position else { return false }
    guard position.index >= synced.index else { return false }
    places.removeSubrange(Int(position.index - committed.index)...)
    window.drop(after: position.index)
    synced = position
    reached = max(reached, Self.place(position))
    // What is stored next still waits for a cut that is under way, or it would be cut too.
    intake = []
    base = cutting.map { $0.index < position.index ? $0 : position } ?? position
    return true
  }
}
