// A shard that takes records: stores what follows, cuts what a later epoch does not have, and applies both in order.

import AtRest
import Base
import Formats
import Threads

extension Shard {
  /// Takes records behind what was handed; those that are here already are passed over. What does not fit is late news, or
  /// the caller's picture of this log is wrong: it is told where the log ends. False when the account is closing: they are
  /// for its next opening.
  func store(_ records: [SealedRecord]) -> Bool {
    let starts = state.with { s -> Bool? in
      if s.closing { return nil }
      let new = fitting(records, &s)
      guard !new.isEmpty else { return false }
      // Under the lock, so that the log gets them in the order in which they were handed.
      log.append(new.map { LogEntry(record: $0, owner: self) })
      s.replica!.hand(Array(new))
      s.replica!.toApply.append(contentsOf: new)
      s.lastUse = environment.clock.monotonicNanoseconds()
      s.greatestEpoch = max(s.greatestEpoch, new.last!.header.epoch)
      defer { s.replica!.isApplying = true }
      return !s.replica!.isApplying
    }
    guard let starts else { return false }
    if starts { startApplying() }
    return true
  }

  /// After `isApplying` was set under the lock.
  func startApplying() {
    if !environment.runTurn({ self.apply() }) {
      let done = withReplica { _, replica in
        replica.isApplying = false
        return replica.takeLeadWanted()
      }
      done?(StoreError(.closed, "the node is stopping; ask another one"))
    }
  }

  /// Forgets what follows `position`. True when what is left has to be applied anew, and somebody has to begin with it.
  func cut(after position: Position, _ s: inout State) -> Bool {
    let whole = s.replica!.cut(after: position, published: pages.published)
    s.writer = nil
    pages.drop(after: whole)
    s.replica!.applyBehind(pages.head.index)
    guard !s.replica!.toApply.isEmpty, !s.replica!.isApplying else { return false }
    s.replica!.isApplying = true
    return true
  }

  /// Those of `records` that the log takes next; under the lock.
  private func fitting(_ records: [SealedRecord], _ s: inout State) -> ArraySlice<SealedRecord> {
    let published = pages.published
    let isKnown: (RecordHeader) -> Bool = { [replica = s.replica!] header in
      header.index <= published.index || replica.checksum(at: header.index) == header.checksum
    }
    let new = records.drop { isKnown($0.header) }
    let sink = environment.sink.with { $0 }
    guard let first = new.first?.header else {
      sink?.synced(id, s.replica!.durable)
      return []
    }
    let handed = s.replica!.handed
    if s.failure == nil, first.index == handed.index + 1, first.previous == handed.checksum { return new }
    if s.failure == nil, first.index <= handed.index,
      let place = s.replica!.position(at: first.index - 1, published: published), place.checksum == first.previous
    {
      // After a failed write the caller no longer knew of this tail, which was never acknowledged.
      // The caller starts applying: more is to come.
      if cut(after: place, &s) { s.replica!.isApplying = false }
      return new
    }
    sink?.failed(id, end: handed)
    return []
  }

  /// Takes away what follows `position`, which a later epoch does not have; what it was goes into quarantine first.
  func cut(after position: Position) throws(StoreError) {
    let (gone, published) = withReplica { _, replica in
      (replica.tail.filter { $0.header.index > position.index }, pages.published)
    }
    guard position.index >= published.index else {
      throw StoreError(
        .damaged, "account \(id): a primary cuts at \(position), but everything up to \(published) was committed")
    }
    let handed = withReplica { _, replica in replica.handed }
    // A failed write took away more.
    if position.index > handed.index { return try noteReached(handed) }
    if !gone.isEmpty { try Quarantine.keep(gone, disk: log.disk, directory: directory) }
    if state.with({ s in cut(after: position, &s) }) { startApplying() }
    try noteReached(position)
  }

  /// Durable before anything is stored behind the cut. Until then a crash brings back what was cut.
  private func noteReached(_ position: Position) throws(StoreError) {
    let reached = withReplica { _, replica in replica.reached }
    let slot = redo.slot
    guard reached > .start, reached != slot.reached || slot.cut.index > position.index,
      !configuration.plantedBugs.contains(.forgetReached)
    else { return }
    try redo.write { slot in (slot.reached, slot.cut) = (reached, position) }
  }

  /// At the opening. The note holds as long as the log has all that it had at the cut: what is missing there was lost, and
  /// then the log is only as far as it looks.
  func takeReached(_ slot: RedoSlot) {
    withReplica { _, replica in
      let isThere =
        slot.cut.index <= pages.published.index
        || replica.position(at: slot.cut.index, published: pages.published)?.checksum == slot.cut.checksum
      if isThere { replica.reached = slot.reached }
    }
  }

  /// Applies what was handed, in order, until nothing is left; then begins the epoch that is wanted.
  func apply() {
    while true {
      let (record, cuts) = withReplica { _, replica in (replica.toApply.first, replica.cuts) }
      if let record {
        do throws(StoreError) { try apply(record, cuts) } catch {
          let done = withReplica { _, replica in
            replica.isApplying = false
            replica.toApply = []
            return replica.takeLeadWanted()
          }
          fail(error)
          done?(error)
          return
        }
        publishWhatMayBe()
        continue
      }
      let ended = state.with { s -> (done: (@Sendable (StoreError?) -> Void)?, error: StoreError?)? in
        guard s.replica!.toApply.isEmpty else { return nil }
        s.replica!.isApplying = false
        guard let wanted = s.replica!.leadWanted else { return (nil, nil) }
        s.replica!.leadWanted = nil
        return (wanted.done, beginLead(wanted.epoch, &s))
      }
      guard let ended else { continue }
      if let done = ended.done {
        if ended.error == nil, pages.currentPages == 0 { writeSchema() }
        done(ended.error)
        schedule()
      }
      return
    }
  }

  /// One record; nothing when a cut came meanwhile.
  func apply(_ record: SealedRecord, _ cuts: Int) throws(StoreError) {
    let header = record.header
    let content = try open(record)
    // After a failed write of the log records come again that readers have long since seen.
    let isKnown = header.index <= pages.head.index
    var images: [PageNumber: [UInt8]] = [:]
    var size: UInt32 = 0
    if case .pages(let payload) = content, !isKnown {
      for change in payload.changes { images[change.number] = try Self.image(of: change, in: pages, record) }
      size = payload.databasePages
    }
    let (made, databasePages) = (images, size)
    withReplica { _, replica in
      guard replica.cuts == cuts, replica.toApply.first === record else { return }
      replica.toApply.removeFirst()
      if isKnown { return }
      if header.epoch != replica.groupEpoch {
        replica.group = [:]
        replica.groupEpoch = header.epoch
      }
      switch content {
      case .mark, .epoch: return pages.advance(to: record.position, mark: true)
      case .recordings: return
      case .pages: break
      }
      replica.group.merge(made) { $1 }
      if !header.continues {
        let all = replica.group.map { ($0.key, $0.value) }
        replica.group = [:]
        _ = pages.install(all, after: pages.head, at: record.position, pages: databasePages)
      }
    }
  }

  func open(_ record: SealedRecord) throws(StoreError) -> RecordOpener.Content {
    try opener.with { opener throws(StoreError) in try opener.open(record) }
  }
}
