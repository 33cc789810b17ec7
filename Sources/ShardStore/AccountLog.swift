// An account's durable records between the commit log and its segments. It outlives the open shard: the commit log waits
// for it.
//
// Records come in the order of the log. One that follows an earlier place than the last cuts what lies behind that place:
// a voter's tail that a later primary does not have. The segments follow at the next split; until then the
// commit log holds the record that cut, so a restart comes to the same end.

import Base
import Disk
import Formats
import Threads

final class AccountLog: Sendable {
  private struct State {
    var unsplit: [SealedRecord] = []
    /// What lies behind it in the segments is no longer of the log.
    var cut: Position?
    var partial = 0
    var epoch: Epoch = 0
    var committed: LogIndex = 0
    /// Of the newest record that was added.
    var lastTime: UnixMicroseconds = 0
    /// The greatest role that was given to the account in this life: who led keeps leading when the shard opens again.
    var role = ShardRole.standby
  }

  let id: AccountID
  let segments: SegmentStore
  private let state = Lock(State())
  /// One split at a time; reads of segments wait for it.
  private let splitting = Lock<Void>(())

  init(id: AccountID, segments: SegmentStore) {
    self.id = id
    self.segments = segments
  }

  /// The greatest epoch that the account has begun since the engine was opened: it is never begun again, also when all of
  /// its records were dropped and the shard was closed since.
  var greatestEpoch: Epoch { state.with { $0.epoch } }
  func noteEpoch(_ begun: Epoch) { state.with { $0.epoch = max($0.epoch, begun) } }

  /// What was published while the account was open stays published when it opens again.
  var committed: LogIndex { state.with { $0.committed } }
  func noteCommitted(_ index: LogIndex) { state.with { $0.committed = max($0.committed, index) } }

  /// How the replica takes records; for an engine that stands alone it means nothing.
  var role: ShardRole {
    get { state.with { $0.role } }
    set { state.with { $0.role = newValue } }
  }

  /// Durable records, in order.
  func add(_ records: [SealedRecord]) {
    state.with { s in
      for record in records {
        let end = s.unsplit.last?.header.index ?? s.cut?.index ?? segments.end.index
        if record.header.index <= end { cut(to: record, &s) }
        s.unsplit.append(record)
        s.lastTime = max(s.lastTime, record.header.time)
      }
    }
  }

  private func cut(to record: SealedRecord, _ s: inout State) {
    while let last = s.unsplit.last, last.header.index >= record.header.index { s.unsplit.removeLast() }
    guard s.unsplit.isEmpty, segments.end.index >= record.header.index else { return }
    let place = Position(epoch: 0, index: record.header.index - 1, checksum: record.header.previous)
    if s.cut.map({ $0.index > place.index }) ?? true { s.cut = place }
  }

  /// The last durable record.
  var end: Position { state.with { $0.unsplit.last?.position ?? $0.cut ?? segments.end } }

  /// No record of the account was made later: times only grow, also when an epoch ends before its records are split and
  /// the clock is set back.
  var lastTime: UnixMicroseconds { max(state.with { $0.lastTime }, segments.lastTime) }

  var isEmpty: Bool { state.with { $0.unsplit.isEmpty } }
  var unsplitBytes: Int { state.with { $0.unsplit.reduce(0) { $0 + $1.frame.count } } }

  /// Moves what is durable into the segments, durably there too. After a failure it stays here, and the commit log keeps
  /// it.
  func split() throws(StoreError) {
    try splitting.with { _ throws(StoreError) in
      let (records, cut) = takeForSplit()
      guard !records.isEmpty || cut != nil else { return }
      if let cut { try segments.truncate(after: cut) }
      try segments.append(records)
      forget(records, cut)
    }
  }

  /// The cut stays until the segments have what follows it: till then the commit log must keep its files.
  private func takeForSplit() -> ([SealedRecord], Position?) { state.with { ($0.unsplit, $0.cut) } }

  /// They are in the segments now. A cut may have taken some of them away meanwhile: it looked at the segments before they
  /// were there.
  private func forget(_ records: [SealedRecord], _ cut: Position?) {
    state.with { s in
      if s.cut == cut { s.cut = nil }
      let same = zip(s.unsplit, records).prefix { $0 === $1 }.count
      s.unsplit.removeFirst(same)
      guard same < records.count, let next = s.unsplit.first?.header, segments.end.index >= next.index else { return }
      s.cut = Position(epoch: 0, index: next.index - 1, checksum: next.previous)
    }
  }

  /// True when a record of a full commit-log file is not needed there any more: it is in a segment, or was dropped.
  func isSegmented(_ index: LogIndex) -> Bool {
    state.with { s in
      let end = min(segments.end.index, s.cut?.index ?? .max)
      return end >= index || (s.unsplit.isEmpty && s.cut == nil && s.partial == 0)
    }
  }

  /// Durable records of a transaction that is not whole yet; they keep their log file.
  func setPartial(_ count: Int) { state.with { $0.partial = count } }

  /// Durable records from `index` on, in order, until they have `bytesMax` bytes, one at least; nil when the log does not
  /// reach back so far. Blocks.
  func records(from index: LogIndex, bytesMax: Int) throws(StoreError) -> [SealedRecord]? {
    try splitting.with { _ throws(StoreError) -> [SealedRecord]? in
      let (unsplit, cut) = state.with { ($0.unsplit, $0.cut) }
      var found: [SealedRecord] = []
      var bytes = 0
      func take(_ record: SealedRecord) -> Bool {
        guard bytes < bytesMax || found.isEmpty else { return false }
        found.append(record)
        bytes += record.frame.count
        return true
      }
      var last = segments.end.index
      if let cut { last = min(last, cut.index) }
      if let first = unsplit.first { last = min(last, first.header.index - 1) }
      if index <= last {
        guard let first = segments.firstIndex, first <= index else { return nil }
        try segments.read(from: index, through: last) { record throws(StoreError) in take(record) }
        guard found.last?.header.index == last else { return found }
      }
      for record in unsplit where record.header.index >= index { if !take(record) { break } }
      return found
    }
  }

  /// The newest record before `index` that carries its epoch's key; nil when the log does not reach back to one. Blocks.
  func keyRecord(before index: LogIndex) throws(StoreError) -> SealedRecord? {
    try splitting.with { _ throws(StoreError) -> SealedRecord? in
      let (unsplit, cut) = state.with { ($0.unsplit, $0.cut) }
      if let found = unsplit.last(where: { $0.header.index < index && $0.header.carriesKey }) { return found }
      var end = index
      if let cut { end = min(end, cut.index + 1) }
      if let first = unsplit.first { end = min(end, first.header.index) }
      return try segments.keyRecord(before: end)
    }
  }
}
