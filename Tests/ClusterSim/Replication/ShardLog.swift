// The log of one shard on one node, as a disk has it: records of which those that were synced survive a crash. Writes
// reach the disk in order. A cut is durable when it is done, and with it the place that the log had.

import Base
import Formats

struct ShardLog {
  private struct Write {
    let serial: UInt64
    var records: [SealedRecord]
  }

  /// What stands before the first record: a base, or what was dropped because the main state has it.
  private(set) var start = Position.start
  /// As the process sees it.
  private(set) var records: [SealedRecord] = []
  private(set) var durable: [SealedRecord] = []
  private var writes: [Write] = []
  private var serial: UInt64 = 0

  /// How far it was when a tail was cut.
  private var reachedBefore = LogPlace.start

  var hasUnsynced: Bool { !writes.isEmpty }
  var end: Position { records.last?.position ?? start }
  var durableEnd: Position { durable.last?.position ?? start }
  var place: LogPlace { LogPlace(epoch: durableEnd.epoch, index: durableEnd.index) }

  var reached: LogPlace { max(place, reachedBefore) }

  private func offset(_ index: LogIndex) -> Int { Int(index) - Int(start.index) - 1 }

  /// Records from `index` on; nil where the log does not reach back to it or has nothing there.
  func records(from index: LogIndex) -> ArraySlice<SealedRecord>? {
    guard index > start.index, index <= end.index else { return nil }
    return records[offset(index)...]
  }

  func durable(at index: LogIndex) -> SealedRecord? {
    guard index > start.index, index <= durableEnd.index else { return nil }
    return durable[offset(index)]
  }

  func durable(from index: LogIndex) -> ArraySlice<SealedRecord> {
    index > durableEnd.index ? [] : durable[max(0, offset(index))...]
  }

  /// Returns the number by which the sync is known.
  mutating func write(_ new: [SealedRecord]) -> UInt64 {
    records += new
    serial += 1
    writes.append(Write(serial: serial, records: new))
    return serial
  }

  /// Returns what went.
  mutating func cut(after index: LogIndex) -> ArraySlice<SealedRecord> {
    reachedBefore = reached
    guard index < end.index else { return [] }
    let gone = records[offset(index + 1)...]
    records.removeSubrange(offset(index + 1)...)
    if durableEnd.index > index { durable.removeSubrange(offset(index + 1)...) }
    for i in writes.indices { writes[i].records.removeAll { $0.header.index > index } }
    writes.removeAll { $0.records.isEmpty }
    return gone
  }

  /// The writes up to `serial` are on the disk. Returns the first index that changed.
  mutating func synced(_ serial: UInt64) -> LogIndex? {
    var first: LogIndex?
    while let write = writes.first, write.serial <= serial {
      durable += write.records
      if let index = write.records.first?.header.index { first = min(first ?? index, index) }
      writes.removeFirst()
    }
    return first
  }

  /// Some of what was on its way arrived, in order.
  mutating func crash(_ random: inout SeededGenerator) {
    if let last = writes.last {
      let kept = UInt64(random.below(writes.count + 1))
      if kept > 0 { _ = synced(last.serial - UInt64(writes.count) + kept) }
    }
    fail()
  }

  /// What was on its way is lost.
  mutating func fail() {
    writes = []
    records = durable
  }

  /// The main state has what lies before.
  mutating func dropFront(upTo index: LogIndex) {
    guard index > start.index, index < durableEnd.index, index < end.index, writes.isEmpty else { return }
    let count = offset(index) + 1
    start = durable[count - 1].position
    durable.removeFirst(count)
    records.removeFirst(count)
  }

  /// A base and what follows it; all of it durable.
  mutating func rebase(at position: Position, _ tail: [SealedRecord]) {
    self = ShardLog(start: position, serial: serial)
    records = tail
    durable = tail
  }

  /// The disk lost it.
  mutating func empty() { self = ShardLog(start: .start, serial: serial) }

  init() {}

  private init(start: Position, serial: UInt64) {
    self.start = start
    self.serial = serial
  }
}
