// One account while it is open: its pages, its writer, its place in the log.
//
// The writer is a turn, not a thread: whoever has it runs one batch on a pool's thread and gives it on. Records that a
// batch made are pending until the log says they are durable; with one voter that is a write set, so they are published
// then, and the replies that were waiting for them leave. Everything that a caller hears waits for the head it saw.

import AtRest
import Base
import Disk
import Formats
import SQLite
import Threads

final class Shard: LogOwner, CommitGate, Sendable {
  /// A reply that waits until `index` is published.
  struct Waiting {
    let index: LogIndex
    /// Which record it waits for: another one in its place means that this one is certainly not there.
    var checksum: Checksum?
    let reply: @Sendable (Result<Position, StoreError>) -> Void
  }

  struct RequestTime {
    let start: UnixMicroseconds
    let monotonicStart: UInt64
  }

  struct State {
    var jobs: [WriteJob] = []
    /// Somebody has the writer's turn: a batch, or a session until it ends its transaction.
    var turnTaken = false
    /// Batches whose records are not durable yet.
    var inFlight = 0
    var waiting: [Waiting] = []
    /// Nil until the first write, and after a drop: the next write begins an epoch.
    var sealer: RecordSealer?
    /// Nil until an epoch's first request with an idempotency key: another node may have kept replies in between.
    var requestTime: RequestTime?
    var greatestEpoch: Epoch
    /// Records of epochs up to this one count no more when they come back from the log.
    var droppedEpoch: Epoch = 0
    /// Records that the gate made and the log has not got yet; belongs to whoever has the turn.
    var gated: [SealedRecord] = []
    /// Durable records of a transaction whose last record is not durable yet.
    var partial: [SealedRecord] = []
    var writer: Connection?
    var idleReaders: [Connection] = []
    var markWanted = false
    var mark: Position?
    var checkpoint = CheckpointPhase.idle
    var failure: StoreError?
    var closing = false
    var users = 0
    /// The session that has the turn.
    weak var holder: Session?
    var tickets: UInt64 = 0
    var lastUse: UInt64 = 0
    /// Nil on a node that is its accounts' only voter.
    var replica: ReplicaState?
  }

  let id: AccountID
  let pages: PageStore
  let vfs: PagesVFS
  let keyring: Keyring
  let log: CommitLog
  let accountLog: AccountLog
  let redo: RedoFile
  let recordings: RecordingStore
  let environment: ShardEnvironment
  let openedAt: UInt64
  let state: Lock<State>
  /// Opens the records that come from a primary, in their order; whoever applies has it.
  let opener: Lock<RecordOpener>
  let directory: String

  init(
    id: AccountID, pages: PageStore, keyring: Keyring, log: CommitLog, accountLog: AccountLog, redo: RedoFile,
    recordings: RecordingStore, environment: ShardEnvironment, epoch: Epoch, opener: sending RecordOpener,
    directory: String
  ) {
    self.opener = Lock(opener)
    self.directory = directory
    self.id = id
    self.pages = pages
    self.keyring = keyring
    self.log = log
    self.accountLog = accountLog
    self.redo = redo
    self.recordings = recordings
    self.environment = environment
    openedAt = environment.clock.monotonicNanoseconds()
    vfs = PagesVFS(host: pages)
    state = Lock(State(greatestEpoch: epoch, lastUse: environment.clock.monotonicNanoseconds()))
    pages.setGate(self)
  }

  var configuration: EngineConfiguration { environment.configuration }

  // MARK: the log's side

  func logged(_ records: [SealedRecord]) {
    if configuration.isReplicated { return loggedAsReplica(records) }
    if let (ready, position) = state.with({ s in take(records, &s) }) {
      for waiting in ready { waiting.reply(.success(position)) }
    }
    schedule()
  }

  /// Takes durable records in and publishes them, whole transactions only; gives the replies that may leave.
  private func take(_ records: [SealedRecord], _ s: inout State) -> ([Waiting], Position)? {
    let isOwn = records.allSatisfy { $0.header.epoch > s.droppedEpoch }
    let own = isOwn ? records : records.filter { $0.header.epoch > s.droppedEpoch }
    guard !own.isEmpty else { return nil }
    let published: Position
    if s.partial.isEmpty, !own.last!.header.continues {
      accountLog.add(own)
      published = own.last!.position
    } else {
      s.partial.append(contentsOf: own)
      guard let last = s.partial.lastIndex(where: { !$0.header.continues }) else {
        accountLog.setPartial(s.partial.count)
        return nil
      }
      // Added before they are no longer partial: in between, the log must not take its file for one that nobody needs.
      accountLog.add(Array(s.partial[...last]))
      published = s.partial[last].position
      s.partial.removeFirst(last + 1)
      accountLog.setPartial(s.partial.count)
    }
    // The same lock orders this before a drop, so what is published here is never dropped.
    pages.publish(published)
    var ready: [Waiting] = []
    if s.waiting.allSatisfy({ $0.index <= published.index }) {
      swap(&ready, &s.waiting)
      s.inFlight = 0
    } else {
      ready = s.waiting.filter { $0.index <= published.index }
      s.waiting.removeAll { $0.index <= published.index }
      s.inFlight = Set(s.waiting.map(\.index)).count
    }
    return (ready, published)
  }

  func logFailed(_ records: [SealedRecord], _ error: StoreError, handed: Bool) -> DroppedRecords {
    if configuration.isReplicated { return logFailedAsReplica() }
    let (failed, dropped) = state.with { s in (dropPending(&s), s.droppedEpoch) }
    let told =
      handed
      ? StoreError(.unknown, "the node could not confirm this write (\(error)); it may or may not be there")
      : StoreError(error.code == .busy ? .busy : .notApplied, "the write was not applied: \(error)")
    for waiting in failed { waiting.reply(.failure(told)) }
    schedule()
    return .upTo(dropped)
  }

  /// Forgets every record that is not durable, ends the epoch, and gives the replies that waited for them.
  func dropPending(_ s: inout State) -> [Waiting] {
    if s.replica != nil {
      dropGated(&s)
      return []
    }
    s.droppedEpoch = s.greatestEpoch
    s.sealer = nil
    s.gated = []
    s.partial = []
    accountLog.setPartial(0)
    s.inFlight = 0
    // Cached pages of what is dropped must not be believed again.
    if !configuration.plantedBugs.contains(.connectionKeptAfterDrop) {
      if !s.turnTaken { s.writer = nil }
      s.idleReaders = []
    }
    pages.drop()
    if case .waitingForMark = s.checkpoint { s.checkpoint = .idle }
    s.mark = nil
    s.markWanted = false
    let published = pages.published.index
    let failed = s.waiting.filter { $0.index > published }
    s.waiting.removeAll { $0.index > published }
    return failed
  }

  /// Ends the epoch without dropping what is durable: the next write begins a new one.
  func endEpoch() {
    if configuration.isReplicated { return endLead() }
    let failed = state.with { s in s.sealer == nil ? [] : dropPending(&s) }
    for waiting in failed {
      waiting.reply(.failure(StoreError(.unknown, "the node could not confirm this write; it may or may not be there")))
    }
    schedule()
  }

  // MARK: the gate

  func commit(
    _ changes: [ChangedPage], databasePages: UInt32, head: Position, naming recordings: [RecordingID]
  ) throws(StoreError) {
    guard let sealer = state.with({ $0.replica?.isPaused == true ? nil : $0.sealer }) else {
      throw epochEnded
    }
    var previous = head
    if configuration.plantedBugs.contains(.indexUsedTwice), head.index > 0, head.index % 7 == 0 { previous.index -= 1 }
    var records: [SealedRecord] = []
    let commitIndex = pages.published.index
    let time = environment.clock.unixMicroseconds()
    // On a lone node too: whoever archives the record must know which recordings go with it.
    var named = recordings[...]
    while !named.isEmpty {
      let part = RecordingsPayload(ids: Array(named.prefix(RecordingsPayload.countMax)))
      named = named.dropFirst(part.ids.count)
      let record = sealer.recordingsRecord(part, after: previous, commitIndex: commitIndex, time: time)
      previous = record.position
      records.append(record)
    }
    var rest = changes[...]
    repeat {
      let part = rest.prefix(configuration.recordPages)
      rest = rest.dropFirst(part.count)
      var payload = PagesEncoder(databasePages: databasePages, count: part.count)
      for change in part { Self.put(change, into: &payload) }
      let record = sealer.pagesRecord(
        payload.bytes, continues: !rest.isEmpty, after: previous, commitIndex: commitIndex, time: time)
      previous = record.position
      records.append(record)
    } while !rest.isEmpty
    let images = changes.map { ($0.number, $0.image) }
    let made = records
    // Under the lock that ends epochs: pages of one that has ended must not become the head that the next one goes on from.
    let isInstalled = state.with { s -> Bool? in
      guard s.sealer === sealer, s.replica?.isPaused != true else { return nil }
      guard pages.install(images, after: head, at: previous, pages: databasePages) else { return false }
      s.gated.append(contentsOf: made)
      return true
    }
    switch isInstalled {
    case true?: return
    case false?: throw StoreError(.notApplied, "the writer lost its place; run the transaction again")
    case nil: throw epochEnded
    }
  }

  private var epochEnded: StoreError {
    StoreError(
      configuration.isReplicated ? .moved : .notApplied, "the epoch ended while the transaction ran; run it again")
  }

  private static func put(_ page: ChangedPage, into payload: inout PagesEncoder) {
    let hash = XXH64.hash(page.image)
    payload.put(
      page.number, hash: hash, base: page.base?.index ?? 0, from: page.base?.image ?? PageChange.zeros, to: page.image)
  }

  /// Gives what the gate made to the log. Called by whoever has the turn, after COMMIT has returned.
  func handOver() {
    state.with { s in
      // A drop between the gate and here voids what the gate made.
      let records = s.gated.filter { $0.header.epoch > s.droppedEpoch }
      s.gated = []
      guard !records.isEmpty else { return }
      s.inFlight += 1
      // Under the lock, so that no drop comes between: the log must not get a record whose predecessor it will not.
      hand(records, &s)
    }
    tellIfQuiet()
  }

  /// Calls `reply` when everything that the caller saw is published; it fails when a drop came since `drops` was read,
  /// because the same index may be another record's by then.
  func reply(
    _ index: LogIndex, drops: UInt64, hasRecord: Bool = true,
    _ reply: @escaping @Sendable (Result<Position, StoreError>) -> Void
  ) {
    do throws(StoreError) {
      // It saw the head and changed nothing: as any read it needs the leases.
      if !hasRecord { try checkServes() }
    } catch {
      reply(.failure(error))
      return
    }
    let now = state.with { s -> Result<Position, StoreError>? in
      let (published, current) = pages.publishedAndDrops
      if current != drops {
        return .failure(StoreError(.unknown, "the node could not confirm this write; it may or may not be there"))
      }
      if index <= published.index { return .success(published) }
      s.waiting.append(Waiting(index: index, checksum: s.replica?.checksum(at: index), reply: reply))
      return nil
    }
    if let now { reply(now) }
  }
}
