// What replication asks of the accounts on this node, for engines whose accounts have voters elsewhere.
//
// Records are taken without waiting, in the order of the calls; an account that is closed opens first, on a thread that
// may block. Nothing here decides: whether a record may be stored, published or cut is for replication to say.

package import Base
package import Formats
import Threads

extension Engine {
  /// Hears of every log from now on. Set before any account opens.
  package func setSink(_ sink: any ReplicaSink) { environment.sink.with { $0 = sink } }

  /// Asked after each default read has pinned what it reads, and before a reply that rests on no record of its own.
  package func setLeaseCheck(_ mayServe: @escaping @Sendable (AccountID, Epoch) -> Bool) {
    environment.lease.with { $0.mayServe = mayServe }
  }

  /// A record as it came over a wire; throws when it is not what its checksum says.
  package static func parse(_ frame: ArraySlice<UInt8>) throws(FormatError) -> SealedRecord {
    try RecordCodec.parse(frame)
  }

  /// Is the record what its checksum says?
  package static func isWhole(_ record: SealedRecord) -> Bool {
    let frame = record.frame
    guard frame.count == record.header.frameBytes else { return false }
    return RecordCodec.checksum(frame, frame.span.bytes.extracting(RecordHeader.byteCount..<frame.count))
      == record.header.checksum
  }

  /// Opens the account; where its log stands.
  package func standing(_ id: AccountID) async throws -> ReplicaStanding {
    let shard = try await held(id)
    defer { shard.release() }
    return shard.standing
  }

  /// Begins the epoch as primary: its first record is on its way when this returns. Requests are taken from then on.
  package func lead(_ id: AccountID, epoch: Epoch) async throws {
    try await reopening {
      let shard = try await held(id)
      defer { shard.release() }
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        shard.lead(epoch) { error in
          if let error { continuation.resume(throwing: error) } else { continuation.resume() }
        }
      }
    }
  }

  /// An account that was idle may be closing just now.
  func reopening<T: Sendable>(_ body: () async throws -> T) async throws -> T {
    for _ in 0..<3 {
      do { return try await body() } catch let error as StoreError where error.code == .closed { continue }
    }
    throw StoreError(.busy, "the account is opening and closing; try again")
  }

  /// Ends the epoch: writes that have not begun are refused as `.moved`; those on their way wait for what the next epoch
  /// makes of them.
  package func stopLeading(_ id: AccountID) {
    guard let entry = known(id) else { return }
    if let shard = entry.shard { shard.stopLeading() } else { entry.log?.role = .standby }
  }

  /// Returns when no write is on its way to the log any more; requests wait until `resumeWriter` or `stopLeading`.
  package func pauseWriter(_ id: AccountID) async throws {
    let shard = try await held(id)
    defer { shard.release() }
    await withCheckedContinuation { continuation in shard.pause { continuation.resume() } }
  }

  package func resumeWriter(_ id: AccountID) { known(id)?.shard?.resume() }

  /// Stores records of the account's primary, in order behind what it has; late ones are dropped.
  package func store(_ id: AccountID, _ records: [SealedRecord]) {
    guard let entry = entryIfKnown(id) else { return }
    let opens = entry.backlog.with { b -> Bool in
      if b.isEmpty, entry.openShard?.store(records) == true { return false }
      b.append(records)
      return b.count == 1
    }
    guard opens else { return }
    _ = environment.runRead {
      do throws(StoreError) { _ = try self.openNow(id) } catch {
        // They wait for whoever opens the account; replication sends again what is lost with them.
        entry.backlog.with { $0 = [] }
        if let log = entry.openLog { self.environment.sink.with { $0 }?.failed(id, end: log.end) }
      }
    }
  }

  /// Takes away what follows `position`, after it was put into quarantine.
  package func cut(_ id: AccountID, after position: Position) async throws {
    try await onReader { try self.cutNow(id, after: position) }
  }

  // On the caller's thread, for simulations.

  package func standingNow(_ id: AccountID) throws(StoreError) -> ReplicaStanding { try openNow(id).standing }

  package func cutNow(_ id: AccountID, after position: Position) throws(StoreError) {
    try openNow(id).cut(after: position)
  }

  package func leadNow(_ id: AccountID, epoch: Epoch, _ done: @escaping @Sendable (StoreError?) -> Void) {
    do throws(StoreError) { try openNow(id).lead(epoch, done) } catch { done(error) }
  }

  /// Everything up to `position` is committed.
  package func publish(_ id: AccountID, upTo position: Position) {
    guard let entry = known(id) else { return }
    // Noted as well, for an opening that comes between.
    entry.log?.noteCommitted(position.index)
    entry.shard?.publish(upTo: position.index)
  }

  /// Durable records from `index` on, at most `bytesMax` bytes but one at least; empty behind the end, nil when the log
  /// does not reach back so far.
  package func records(_ id: AccountID, from index: LogIndex, bytesMax: Int) async throws -> [SealedRecord]? {
    try await onReader { try self.openNow(id).accountLog.records(from: index, bytesMax: bytesMax) }
  }

  /// Files of records that the account's log does not have.
  package func quarantined(_ id: AccountID) async throws -> [String] {
    try await onReader { try Quarantine.files(disk: self.disk, directory: self.directory(of: id)) }
  }

  private func known(_ id: AccountID) -> (shard: Shard?, log: AccountLog?)? {
    entryIfKnown(id).map { entry in (entry.openShard, entry.openLog) }
  }
}
