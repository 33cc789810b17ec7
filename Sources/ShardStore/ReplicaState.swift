// An open account as a replica: which records lie behind the published one, and how far each step has come.
//
// A record is handed to the log, applied (its versions are there, seen by nobody), durable, and published, the last three
// in any order that replication allows: other voters may have made it a write set before this disk has it.

import Base
import Formats

struct ReplicaState {
  var role: ShardRole
  /// Handed to the log and not published, in order.
  var tail: [SealedRecord] = []
  /// Where the log ends, durable or not.
  var handed: Position
  /// Handed and not durable yet, in order.
  var inLog: [SealedRecord] = []
  var durable: Position
  /// Replication says: published may be everything up to here.
  var committed: LogIndex
  /// Handed and not applied yet.
  var toApply: ArraySlice<SealedRecord> = []
  var isApplying = false
  /// The greatest place that this disk had before a tail was cut: a replica's place never goes back, also where what
  /// follows a cut is of older epochs than what went.
  var reached = LogPlace.start
  /// Cuts and failures so far: what was begun before one is not finished after it.
  var cuts = 0
  /// Of a transaction whose last record has not come.
  var group: [PageNumber: [UInt8]] = [:]
  var groupEpoch: Epoch = 0
  /// The newest published record that carries its epoch's key, behind which redo may begin.
  var mark: Position?
  /// Wait for a mark that is not written yet to be published.
  var onMark: [@Sendable (Position?) -> Void] = []
  var markAsked: LogIndex?
  /// Of the newest record handed.
  var lastTime: UnixMicroseconds = 0
  /// Takes no new writes: a hand-over.
  var isPaused = false
  var onQuiet: [@Sendable () -> Void] = []
  /// The epoch to begin when everything is applied.
  var leadWanted: (epoch: Epoch, done: @Sendable (StoreError?) -> Void)?

  init(role: ShardRole, at position: Position) {
    self.role = role
    handed = position
    durable = position
    committed = position.index
  }

  var leads: Bool { if case .leading = role { true } else { false } }

  /// Whoever takes it tells what became of it.
  mutating func takeLeadWanted() -> (@Sendable (StoreError?) -> Void)? {
    defer { leadWanted = nil }
    return leadWanted?.done
  }

  mutating func hand(_ records: [SealedRecord]) {
    guard let last = records.last else { return }
    tail.append(contentsOf: records)
    inLog.append(contentsOf: records)
    handed = last.position
    lastTime = max(lastTime, last.header.time)
  }

  /// Of the record at `index`, while it is not published.
  func checksum(at index: LogIndex) -> Checksum? {
    guard let first = tail.first?.header.index, index >= first, index - first < UInt64(tail.count) else { return nil }
    return tail[Int(index - first)].header.checksum
  }

  /// The position of the record at `index`, the published one included.
  func position(at index: LogIndex, published: Position) -> Position? {
    if index == published.index { return published }
    guard let first = tail.first?.header.index, index >= first, index - first < UInt64(tail.count) else { return nil }
    return tail[Int(index - first)].position
  }

  /// Takes away what follows `position`. Gives the last place before it at which a transaction ends: what is left of one
  /// behind that is applied anew, once the rest of it has come.
  mutating func cut(after position: Position, published: Position) -> Position {
    tail.removeAll { $0.header.index > position.index }
    inLog.removeAll { $0.header.index > position.index }
    group = [:]
    groupEpoch = 0
    cuts += 1
    handed = position
    if durable.index > position.index {
      reached = max(reached, LogPlace(epoch: durable.epoch, index: durable.index))
      durable = position
    }
    return tail.last { !$0.header.continues }?.position ?? published
  }

  /// What the versions up to `applied` do not hold is to be applied.
  mutating func applyBehind(_ applied: LogIndex) { toApply = tail.filter { $0.header.index > applied }[...] }
}
