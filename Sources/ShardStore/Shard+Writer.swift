// The writer's turn: one batch of waiting requests as one transaction, each request in a savepoint of its own.
//
// No member may hurt the others. One that ends the transaction (OR ROLLBACK, an abort, an interrupt) or leaves a foreign
// key dangling that COMMIT would refuse makes the whole batch roll back, and the others run again one by one.

import AtRest
import Base
import Formats
import SQLite
import Threads

extension Shard {
  private struct Member {
    let body: @Sendable (Connection) throws -> Void
    let reply: @Sendable (Result<Position, any Error>) -> Void
    var outcome: Result<Void, any Error> = .success(())
  }

  func enqueue(_ job: WriteJob) {
    let isTaken = state.with { s in
      if let replica = s.replica, !replica.leads { return false }
      s.jobs.append(job)
      s.lastUse = environment.clock.monotonicNanoseconds()
      return true
    }
    guard isTaken else { return refuse([job], Self.moved) }
    schedule()
  }

  /// Gives the turn away if somebody waits for it and nobody has it.
  func schedule() {
    let start = state.with { s -> Bool in
      guard !s.turnTaken, !s.jobs.isEmpty || s.markWanted else { return false }
      if let replica = s.replica {
        // What comes while this disk syncs shares the next batch: a record for each request would cost every voter as much
        // as one for all of them. Other voters' syncs are not waited for.
        guard replica.leads, !replica.isPaused, replica.inLog.isEmpty,
          s.inFlight < configuration.pendingBatchesReplicatedMax
        else { return false }
      } else {
        guard s.inFlight < configuration.pendingBatchesMax else { return false }
      }
      s.turnTaken = true
      return true
    }
    guard start, !environment.runTurn({ self.turn() }) else { return }
    let jobs = state.with { s in
      defer { s.jobs = [] }
      return s.jobs
    }
    refuse(jobs, StoreError(.closed, "the node is stopping; ask another one"))
  }

  /// Takes back a session's wish for the turn. False when it has the turn already.
  func withdraw(_ ticket: UInt64) -> Bool {
    let job = state.with { s -> WriteJob? in
      let at = s.jobs.firstIndex { job in if case .session(ticket, _) = job { true } else { false } }
      return at.map { s.jobs.remove(at: $0) }
    }
    guard let job else { return false }
    refuse([job], StoreError(.busy, "the account's writer is busy; try again"))
    return true
  }

  func endTurn() {
    state.with { $0.turnTaken = false }
    schedule()
  }

  private func turn() {
    var failure: StoreError?
    do { try prepareTurn() } catch {
      failure = error
      // Else the turn would be taken for the mark at once again, and fail again.
      let wasWanted = state.with { s in
        if case .waitingForMark = s.checkpoint { s.checkpoint = .idle }
        defer { s.markWanted = false }
        return s.markWanted
      }
      if wasWanted { refuseMarks() }
    }
    let (members, session) = takeJobs()
    if let session {
      if let failure {
        session(failure)
        endTurn()
      } else {
        // The session ends the turn with its transaction.
        session(nil)
      }
      return
    }
    if let failure {
      for member in members { member.reply(.failure(failure)) }
    } else if !members.isEmpty {
      run(members)
    }
    endTurn()
  }

  /// The next batch, or a session alone.
  private func takeJobs() -> ([Member], (@Sendable (StoreError?) -> Void)?) {
    state.with { s in
      var members: [Member] = []
      var taken = 0
      for job in s.jobs.prefix(configuration.batchMax) {
        switch job {
        case .member(let body, let reply): members.append(Member(body: body, reply: reply))
        case .session(_, let grant):
          guard members.isEmpty else { break }
          s.jobs.removeFirst()
          return ([], grant)
        }
        if taken == members.count { break }
        taken = members.count
      }
      s.jobs.removeFirst(members.count)
      return (members, nil)
    }
  }

  /// Makes sure that there is a connection and an epoch, and writes a mark that a checkpoint waits for.
  private func prepareTurn() throws(StoreError) {
    let isPrepared = state.with { s in
      s.failure == nil && !s.closing && s.sealer != nil && s.writer != nil && !s.markWanted
    }
    if isPrepared { return }
    if let failure = state.with({ $0.failure }) { throw failure }
    if state.with({ $0.closing }) { throw StoreError(.closed, "the account is closing; try again") }
    try beginEpochIfNeeded()
    state.with { s in
      guard s.markWanted, let sealer = s.sealer else { return }
      s.markWanted = false
      keyRecord(.mark, sealer, &s)
    }
  }

  private func beginEpochIfNeeded() throws(StoreError) {
    try beginEpochAsReplica()
    state.with { s in
      guard s.sealer == nil, s.replica == nil else { return }
      s.greatestEpoch += 1
      accountLog.noteEpoch(s.greatestEpoch)
      let sealer = RecordSealer(
        account: id, epoch: s.greatestEpoch, logWrap: keyring.logWrap, after: accountLog.lastTime,
        plain: configuration.plantedBugs.contains(.sealingOff))
      s.sealer = sealer
      s.requestTime = nil
      // What an earlier epoch's connection has cached may have been dropped.
      if !configuration.plantedBugs.contains(.connectionKeptAfterDrop) { s.writer = nil }
      keyRecord(.epoch, sealer, &s)
    }
    if state.with({ $0.writer == nil }) {
      let connection = try openConnection(readOnly: false)
      (connection.pageSession as? StoreSession)?.readsHead = true
      state.with { $0.writer = connection }
    }
  }

  /// Under the lock up to the log's queue, so that no drop comes between.
  func keyRecord(_ kind: RecordKind, _ sealer: RecordSealer, _ s: inout State) {
    let record = sealer.keyRecord(
      kind, after: pages.head, commitIndex: pages.published.index, time: environment.clock.unixMicroseconds())
    pages.advance(to: record.position, mark: true)
    if kind == .mark { s.mark = record.position }
    hand([record], &s)
    // This node may get records of its own epoch back from the next one's primary.
    if s.replica != nil { _ = opener.with { try? $0.open(record) } }
  }

  /// Gives records to the log, and to whoever sends them to other nodes. Under the lock.
  func hand(_ records: [SealedRecord], _ s: inout State) {
    log.append(records.map { LogEntry(record: $0, owner: self) })
    guard s.replica != nil else { return }
    s.replica!.hand(records)
    environment.sink.with { $0 }?.appended(id, records)
  }

  func openConnection(readOnly: Bool) throws(StoreError) -> Connection {
    try storing {
      let connection = try Connection(pages: vfs, readOnly: readOnly)
      connection.installSandbox()
      return connection
    }
  }

  // MARK: a batch

  private func run(_ members: [Member]) {
    guard let connection = state.with({ $0.writer }) else {
      // An epoch that ended since the turn was prepared took it along; nothing has run.
      let told = state.with { s in
        s.failure ?? (s.replica == nil ? StoreError(.closed, "the account is closing") : Self.moved)
      }
      for member in members { member.reply(.failure(told)) }
      return
    }
    let (drops, before) = (pages.drops, pages.head.index)
    var members = members
    switch attempt(&members, on: connection) {
    case .committed: finish(members, since: drops, after: before)
    case .failed(let error):
      if members.count > 1 {
        for member in members { runAlone(member, on: connection) }
      } else {
        members[0].outcome = .failure(error)
        finish(members, since: drops, after: before)
      }
    case .broken(let guilty):
      // Nothing of the batch is left. The guilty one keeps its error, the others run again.
      for (i, member) in members.enumerated() {
        if i == guilty { finish([member], since: drops, after: before) } else { runAlone(member, on: connection) }
      }
    }
  }

  private func runAlone(_ member: Member, on connection: Connection) {
    let (drops, before) = (pages.drops, pages.head.index)
    var one = [member]
    one[0].outcome = .success(())
    if case .failed(let error) = attempt(&one, on: connection) { one[0].outcome = .failure(error) }
    finish(one, since: drops, after: before)
  }

  private enum Attempt {
    case committed
    /// COMMIT was refused; nothing is left.
    case failed(any Error)
    /// Member `guilty` ended the transaction; its outcome says why.
    case broken(guilty: Int)
  }

  private func attempt(_ members: inout [Member], on connection: Connection) -> Attempt {
    do {
      try connection.execute("BEGIN IMMEDIATE")
      if members.count == 1 {
        runLoneMember(&members[0], on: connection)
        if case .failure = members[0].outcome {
          if !connection.isAutocommit { try connection.execute("ROLLBACK") }
          abandonGated()
          return .committed
        }
      } else {
        for i in members.indices {
          runMember(&members[i], on: connection)
          if connection.isAutocommit {
            // A COMMIT of its own would have made records of half a batch.
            abandonGated()
            return .broken(guilty: i)
          }
        }
      }
      try connection.execute("COMMIT")
      handOver()
      return .committed
    } catch {
      let refusal = (connection.pageSession as? StoreSession)?.takeRefusal()
      if !connection.isAutocommit { try? connection.execute("ROLLBACK") }
      abandonGated()
      return .failed(refusal ?? Self.translated(error))
    }
  }

  /// A member without company needs no savepoint: its failure rolls back the whole transaction.
  private func runLoneMember(_ member: inout Member, on connection: Connection) {
    do {
      connection.startMember()
      try member.body(connection)
      if connection.isAutocommit {
        member.outcome = .failure(StoreError(.refused, "the request ended the transaction that it ran in"))
      } else if connection.hasDeferredViolations {
        throw SQLiteError(.constraint, name: "SQLITE_CONSTRAINT_FOREIGNKEY", message: "FOREIGN KEY constraint failed")
      }
    } catch { member.outcome = .failure(error) }
  }

  private func runMember(_ member: inout Member, on connection: Connection) {
    let session = connection.pageSession as? StoreSession
    let named = session?.recordings.count ?? 0
    do {
      connection.startMember()
      try connection.execute("SAVEPOINT komora_member")
      try member.body(connection)
      if !connection.isAutocommit {
        if connection.hasDeferredViolations {
          throw SQLiteError(
            .constraint, name: "SQLITE_CONSTRAINT_FOREIGNKEY", message: "FOREIGN KEY constraint failed")
        }
        try connection.execute("RELEASE komora_member")
      } else {
        member.outcome = .failure(StoreError(.refused, "the request ended the transaction that it ran in"))
      }
    } catch {
      member.outcome = .failure(error)
      if !connection.isAutocommit {
        // Without the savepoint the transaction cannot be trusted: ending it breaks the batch, which runs again.
        session?.recordings.removeLast((session?.recordings.count ?? named) - named)
        do {
          try connection.execute("ROLLBACK TO komora_member")
          try connection.execute("RELEASE komora_member")
        } catch { try? connection.execute("ROLLBACK") }
      }
    }
  }

  /// After a COMMIT that failed behind the gate: the records were never handed out, but their index is used.
  func abandonGated() {
    let failed = state.with { s in s.gated.isEmpty ? [] : dropPending(&s) }
    for waiting in failed {
      waiting.reply(.failure(StoreError(.unknown, "the node could not confirm this write; it may or may not be there")))
    }
    tellIfQuiet()
  }

  /// Every reply waits for the head it ran on: errors and requests without effect too. `drops` and `before`, the head: as
  /// the batch began.
  private func finish(_ members: [Member], since drops: UInt64, after before: LogIndex) {
    let head = pages.head.index
    for member in members {
      let (outcome, deliver) = (member.outcome, member.reply)
      reply(head, drops: drops, hasRecord: head != before) { result in
        switch (outcome, result) {
        case (.success, .success(let position)): deliver(.success(position))
        case (.success, .failure(let error)): deliver(.failure(error))
        case (.failure(let error as StoreError), _): deliver(.failure(error))
        // What SQLite says of rows (a constraint that failed) is as good as a read of them.
        case (.failure, .failure(let error)) where error.code == .moved: deliver(.failure(error))
        case (.failure(let error), _): deliver(.failure(error))
        }
      }
    }
  }

  static func translated(_ error: any Error) -> any Error {
    guard let error = error as? SQLiteError else { return error }
    switch error.code {
    case .busySnapshot: return StoreError(.snapshotTooOld, "another transaction came first; run it again")
    case .full: return StoreError(.tooLarge, "the transaction changes too much; split it")
    case .corrupt: return StoreError(.damaged, "the database is damaged: \(error.message)")
    case .io: return StoreError(.io, "the database cannot be read or written: \(error.message)")
    default: return error
    }
  }
}
