// A shard whose records have voters on other nodes: what replication asks of it, and what it tells.
//
// The steps of a record are apart: handed to the log, durable, applied, published. As primary it is applied when it is
// made; as standby a thread of the writers' pool applies it. Published is what replication allows and what is applied.
// Nothing published is ever cut.

import AtRest
import Base
import Formats
import Threads

extension Shard {
  static let moved = StoreError(.moved, "this node does not lead the account; ask the one that does")

  /// Calls `body` with the replica's part of the state.
  func withReplica<R>(_ body: (inout State, inout ReplicaState) -> R) -> R {
    state.with { s in
      guard var replica = s.replica.take() else { preconditionFailure("account \(id) is no replica") }
      let result = body(&s, &replica)
      s.replica = replica
      return result
    }
  }

  // MARK: the log's side

  func loggedAsReplica(_ records: [SealedRecord]) {
    accountLog.add(records)
    let isNews = withReplica { _, replica in
      let before = replica.durable
      for record in records where replica.inLog.first === record {
        replica.inLog.removeFirst()
        replica.durable = record.position
      }
      if replica.durable != before { environment.sink.with { $0 }?.synced(id, replica.durable) }
      return replica.durable != before
    }
    if isNews { schedule() }
  }

  /// What is not durable is gone from this log, and this node's epoch with it. Gives what the log shall drop.
  func logFailedAsReplica() -> DroppedRecords {
    let (jobs, quiet, starts, dropped) = state.with { s in
      let (jobs, quiet) = endLead(&s)
      let dropped = Set(s.replica!.inLog.map(ObjectIdentifier.init))
      let starts = cut(after: s.replica!.durable, &s)
      // Told here, so that what a next epoch hands comes behind it.
      environment.sink.with { $0 }?.failed(id, end: s.replica!.handed)
      return (jobs, quiet, starts, dropped)
    }
    finishEnding(jobs, quiet)
    if starts { startApplying() }
    return .these(dropped)
  }

  func tellFailure() {
    withReplica { _, replica in environment.sink.with { $0 }?.failed(id, end: replica.handed) }
  }

  // MARK: leading

  /// Begins `epoch` when everything that was handed is applied: its first record is on its way when `done` is called.
  func lead(_ epoch: Epoch, _ done: @escaping @Sendable (StoreError?) -> Void) {
    let (starts, overtaken) = withReplica { _, replica in
      let overtaken = replica.takeLeadWanted()
      replica.leadWanted = (epoch, done)
      defer { replica.isApplying = true }
      return (!replica.isApplying, overtaken)
    }
    overtaken?(Self.moved)
    if starts { apply() }
  }

  func beginLead(_ epoch: Epoch, _ s: inout State) -> StoreError? {
    guard s.failure == nil, !s.closing else { return failureToTell(s) }
    guard epoch > s.replica!.handed.epoch else {
      return StoreError(.refused, "epoch \(epoch) is not after the account's log, which ends at \(s.replica!.handed)")
    }
    s.replica!.role = .leading(epoch)
    accountLog.role = .leading(epoch)
    s.replica!.isPaused = false
    // What is left of a transaction whose end never came is void from here on.
    let handed = s.replica!.handed
    if pages.head.index < handed.index { pages.advance(to: handed, mark: false) }
    s.replica!.group = [:]
    beginEpoch(epoch, .epoch, &s)
    return nil
  }

  private func failureToTell(_ s: State) -> StoreError {
    s.failure ?? StoreError(.closed, "the account is closing; try again")
  }

  private func beginEpoch(_ epoch: Epoch, _ kind: RecordKind, _ s: inout State) {
    s.greatestEpoch = max(s.greatestEpoch, epoch)
    accountLog.noteEpoch(epoch)
    let sealer = RecordSealer(
      account: id, epoch: epoch, logWrap: keyring.logWrap,
      after: max(accountLog.lastTime, s.replica!.lastTime),
      plain: configuration.plantedBugs.contains(.sealingOff))
    s.sealer = sealer
    s.requestTime = nil
    // What an earlier epoch's connection has cached may have been cut.
    s.writer = nil
    keyRecord(kind, sealer, &s)
  }

  /// Called by whoever has the turn. An account that was closed and opened in the middle of an epoch goes on with it under
  /// another key, which a mark carries.
  func beginEpochAsReplica() throws(StoreError) {
    let isLed = state.with { s -> Bool in
      guard let replica = s.replica else { return true }
      guard case .leading(let epoch) = replica.role else { return false }
      if s.sealer == nil { beginEpoch(epoch, .mark, &s) }
      return true
    }
    if !isLed { throw Self.moved }
  }

  func stopLeading() {
    let (jobs, quiet) = state.with { s in endLead(&s) }
    finishEnding(jobs, quiet)
  }

  /// The node's log failed: its epochs are over, also where no record is lost.
  func endLead() {
    let wasLeading = state.with { $0.replica?.leads == true }
    guard wasLeading else { return }
    stopLeading()
    tellFailure()
  }

  /// Ends the epoch here. Records that were handed stay: whether they count is for the next epoch to say, and replies wait
  /// for that.
  private func endLead(_ s: inout State) -> ([WriteJob], [@Sendable () -> Void]) {
    guard s.replica!.leads else { return ([], []) }
    s.replica!.role = .standby
    accountLog.role = .standby
    dropGated(&s)
    s.droppedEpoch = s.greatestEpoch
    s.sealer = nil
    s.inFlight = 0
    s.mark = nil
    s.markWanted = false
    if case .waitingForMark = s.checkpoint { s.checkpoint = .idle }
    s.replica!.isPaused = false
    defer {
      s.jobs = []
      s.replica!.onQuiet = []
      s.replica!.onMark = []
    }
    let marks: [@Sendable () -> Void] = s.replica!.onMark.map { told in { told(nil) } }
    return (s.jobs, s.replica!.onQuiet + marks)
  }

  private func finishEnding(_ jobs: [WriteJob], _ quiet: [@Sendable () -> Void]) {
    refuse(jobs, Self.moved)
    for told in quiet { told() }
  }

  /// Forgets what the gate made and nobody was given.
  func dropGated(_ s: inout State) {
    s.gated = []
    s.writer = nil
    let handed = s.replica!.handed
    if pages.head.index > handed.index { pages.drop(after: handed) }
  }

  /// Takes no more writes; calls `done` when none is on its way to the log any more. Requests wait.
  func pause(_ done: @escaping @Sendable () -> Void) {
    withReplica { _, replica in
      replica.isPaused = true
      replica.onQuiet.append(done)
    }
    tellIfQuiet()
  }

  func resume() {
    let overtaken = withReplica { _, replica in
      replica.isPaused = false
      defer { replica.onQuiet = [] }
      return replica.onQuiet
    }
    for told in overtaken { told() }
    schedule()
  }

  func tellIfQuiet() {
    let quiet = state.with { s -> [@Sendable () -> Void] in
      guard let replica = s.replica, replica.isPaused, s.gated.isEmpty else { return [] }
      defer { s.replica!.onQuiet = [] }
      return replica.onQuiet
    }
    for told in quiet { told() }
  }

  /// Has a mark written; its position when it is published. Throws when this node does not lead, or no longer.
  func nextMark() async throws -> Position {
    let mark: Position? = await withCheckedContinuation { continuation in
      let isLed = withReplica { s, replica in
        guard replica.leads, s.failure == nil, !s.closing else { return false }
        replica.onMark.append { continuation.resume(returning: $0) }
        // A mark that is on its way was perhaps made before the caller's pin.
        replica.markAsked = replica.handed.index + 1
        s.markWanted = true
        return true
      }
      if isLed { schedule() } else { continuation.resume(returning: nil) }
    }
    guard let mark else { throw Self.moved }
    return mark
  }

  // MARK: publishing

  /// A mark that cannot be written: who waits for it hears it now.
  func refuseMarks() {
    let waiting = state.with { s -> [@Sendable (Position?) -> Void] in
      defer {
        s.replica?.onMark = []
        s.replica?.markAsked = nil
      }
      return s.replica?.onMark ?? []
    }
    for told in waiting { told(nil) }
  }

  /// Replication says that everything up to `index` is committed.
  func publish(upTo index: LogIndex) {
    withReplica { _, replica in replica.committed = max(replica.committed, index) }
    publishWhatMayBe()
  }

  func publishWhatMayBe() {
    var answers: [(Waiting, Result<Position, StoreError>)] = []
    var marks: [@Sendable (Position?) -> Void] = []
    var marked: Position?
    withReplica { s, replica in
      let limit = min(replica.committed, replica.leads ? replica.handed.index : pages.head.index)
      guard let first = replica.tail.first?.header.index, limit >= first else { return }
      let candidates = replica.tail.prefix(Int(min(limit - first + 1, UInt64(replica.tail.count))))
      guard let last = candidates.lastIndex(where: { !$0.header.continues }) else { return }
      let position = replica.tail[last].position
      answers = answer(upTo: position, &s, replica)
      if let mark = replica.tail[...last].last(where: { $0.header.carriesKey })?.position {
        replica.mark = mark
        if let asked = replica.markAsked, mark.index >= asked {
          marked = mark
          swap(&marks, &replica.onMark)
          replica.markAsked = nil
        }
      }
      replica.tail.removeFirst(last + 1)
      pages.publish(position)
      accountLog.noteCommitted(position.index)
      s.inFlight = Set(s.waiting.map(\.index)).count
    }
    for (waiting, result) in answers { waiting.reply(result) }
    for told in marks { told(marked) }
    if !answers.isEmpty { schedule() }
  }

  /// Those whose record is published, and those in whose place another one is: theirs never will be.
  private func answer(upTo position: Position, _ s: inout State, _ replica: ReplicaState) -> [(
    Waiting, Result<Position, StoreError>
  )] {
    var answers: [(Waiting, Result<Position, StoreError>)] = []
    for waiting in s.waiting where waiting.index <= position.index {
      if waiting.checksum == replica.checksum(at: waiting.index) {
        answers.append((waiting, .success(replica.position(at: waiting.index, published: position) ?? position)))
      } else {
        let told = StoreError(.notApplied, "the account changed hands, and the write is not there; run it again")
        answers.append((waiting, .failure(told)))
      }
    }
    s.waiting.removeAll { $0.index <= position.index }
    return answers
  }

  // MARK: opening

  /// Takes what the segments hold behind the redo slot's mark, and publishes what is known to be committed.
  func replayAsReplica(from slot: RedoSlot) throws(StoreError) {
    let known = max(slot.mark.index, slot.committed, accountLog.committed)
    withReplica { _, replica in replica.committed = known }
    try accountLog.segments.read(from: slot.mark.index) { record throws(StoreError) in
      state.with { $0.greatestEpoch = max($0.greatestEpoch, record.header.epoch) }
      guard record.header.index > slot.mark.index else {
        _ = try open(record)
        return
      }
      let cuts = withReplica { _, replica in
        replica.hand([record])
        replica.inLog = []
        replica.durable = record.position
        replica.toApply.append(record)
        replica.committed = max(replica.committed, min(record.header.commitIndex, record.header.index))
        return replica.cuts
      }
      try apply(record, cuts)
      publishWhatMayBe()
    }
    takeReached(slot)
  }

  /// What replication begins with.
  var standing: ReplicaStanding {
    withReplica { _, replica in
      ReplicaStanding(
        committed: pages.published, tail: replica.tail.filter { $0.header.index <= replica.durable.index },
        reached: replica.reached)
    }
  }
}
