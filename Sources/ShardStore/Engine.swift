// A node's store: every account's shard, opened when it is wanted, over one commit log.
//
// The engine itself is passive. Live, four small groups of threads drive it: writers' turns, readers, the log, and
// maintenance. A simulation drives the same steps one at a time, in any order it likes.

package import AtRest
package import Base
package import Disk
import Formats
import SQLite
import Threads

package final class Engine: Sendable {
  /// An account that the engine knows: perhaps open, perhaps with records that wait for their segments.
  final class Entry: Sendable {
    struct State {
      var shard: Shard?
      var log: AccountLog?
      /// Being removed or rebuilt.
      var isGone = false
    }
    let id: AccountID
    let state = Lock(State())
    /// Records that came while the account was closed; the first opens it.
    let backlog = Lock<[[SealedRecord]]>([])
    /// As in `state`, for those who may not wait for an opening.
    private let now = Lock<(shard: Shard?, log: AccountLog?)>((nil, nil))
    init(_ id: AccountID) { self.id = id }

    var openShard: Shard? { now.with { $0.shard } }
    var openLog: AccountLog? { now.with { $0.log } }
    /// Shows it with the records that came meanwhile: nobody finds it without them.
    func open(_ shard: Shard, _ log: AccountLog) {
      backlog.with { waiting in
        for records in waiting { _ = shard.store(records) }
        waiting = []
        show(shard, log)
      }
    }
    func show(_ shard: Shard?, _ log: AccountLog?) { now.with { $0 = (shard, log) } }
  }

  package let configuration: EngineConfiguration
  let disk: any Disk
  let kek: Lock<any KeyEncryption>
  let clock: any StoreClock
  let log: CommitLog
  let environment: ShardEnvironment
  private let entries: Lock<[AccountID: Entry]>
  private let threads: EngineThreads?

  private init(
    _ configuration: EngineConfiguration, _ disk: any Disk, _ kek: any KeyEncryption, _ clock: any StoreClock,
    _ log: CommitLog, _ entries: [AccountID: Entry], _ threads: EngineThreads?, _ environment: ShardEnvironment
  ) {
    self.configuration = configuration
    self.disk = disk
    self.kek = Lock(kek)
    self.clock = clock
    self.log = log
    self.entries = Lock(entries)
    self.threads = threads
    self.environment = environment
    log.onFailure.with { $0.tell = { [weak self] in self?.endEpochs() } }
  }

  deinit { threads?.letGo() }

  /// Opens what lies in the configured directories, or begins there. Everything in the commit log is in the accounts'
  /// segments when it returns. `.damaged` names the file and byte; nothing is changed then.
  package static func open(
    _ configuration: EngineConfiguration, disk: any Disk, kek: any KeyEncryption,
    clock: any StoreClock = SystemClock()
  ) throws(StoreError) -> Engine {
    let threads = EngineThreads(configuration)
    let environment = ShardEnvironment(
      configuration: configuration, clock: clock, runTurn: { job in threads.writers.run(job) },
      runRead: { job in threads.readers.run(job) })
    do {
      let engine = try open(configuration, disk, kek, clock, threads, environment)
      threads.start(engine)
      return engine
    } catch {
      threads.abandon()
      throw error
    }
  }

  /// An engine without threads: `runTurn` and `runRead` get the jobs, and the caller calls `flushLog`, `maintain` and so
  /// on. For simulations.
  package static func manual(
    _ configuration: EngineConfiguration, disk: any Disk, kek: any KeyEncryption, clock: any StoreClock,
    runTurn: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void,
    runRead: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void
  ) throws(StoreError) -> Engine {
    let environment = ShardEnvironment(
      configuration: configuration, clock: clock,
      runTurn: { job in
        runTurn(job)
        return true
      },
      runRead: { job in
        runRead(job)
        return true
      })
    return try open(configuration, disk, kek, clock, nil, environment)
  }

  private static func open(
    _ configuration: EngineConfiguration, _ disk: any Disk, _ kek: any KeyEncryption, _ clock: any StoreClock,
    _ threads: EngineThreads?, _ environment: ShardEnvironment
  ) throws(StoreError) -> Engine {
    try storing {
      for directory in [configuration.accountsDirectory, configuration.logDirectory, configuration.temporaryDirectory] {
        try disk.makeDurableDirectory(directory)
        // Names in it too: a process that ended between making one and its sync left it to us.
        try disk.syncDirectory(directory)
      }
      for name in try disk.list(configuration.temporaryDirectory) where name.hasSuffix(".tmp") {
        try disk.remove("\(configuration.temporaryDirectory)/\(name)")
      }
    }
    var entries: [AccountID: Entry] = [:]
    for name in try storing({ try disk.list(configuration.accountsDirectory) }) {
      if let id = AccountID(name) {
        entries[id] = Entry(id)
      } else if name.hasPrefix(".") {
        if Self.isResumable(name, configuration, disk) { continue }
        // What a crash left of an account that was being made, restored or removed; it was never visible.
        try disk.removeTree("\(configuration.accountsDirectory)/\(name)")
      }
    }
    var recovery = LogRecovery(disk: disk, bugs: configuration.plantedBugs)
    try recovery.read(configuration.logDirectory, direct: configuration.directLog)
    for (id, entry) in entries where recovery.chains[id] != nil {
      let log = try openAccountLog(id, configuration, disk)
      let tail = try recovery.settle(id, log.segments)
      if tail.isEmpty, let torn = log.segments.torn { throw Self.torn(torn) }
      if let first = recovery.chains[id]?.first { try log.segments.settle(from: first.header.index) }
      // What is published of it is another question: here it is durable again, in a place of the account's own.
      try log.segments.append(tail)
      entry.state.with { $0.log = log }
      // So that somebody who asks without opening it sees how far it is.
      if !configuration.isReplicated { entry.show(nil, log) }
    }
    let log = CommitLog(
      disk: disk, configuration: configuration, nextGeneration: recovery.greatestGeneration, free: recovery.files)
    return Engine(configuration, disk, kek, clock, log, entries, threads, environment)
  }

  private static func torn(_ torn: (path: String, offset: UInt64)) -> StoreError {
    StoreError(.damaged, "\(torn.path) is damaged at byte \(torn.offset): records that were durable do not parse")
  }

  private static func openAccountLog(_ id: AccountID, _ configuration: EngineConfiguration, _ disk: any Disk)
    throws(StoreError) -> AccountLog
  {
    let directory = "\(configuration.accountsDirectory)/\(id)"
    let slot = try RedoFile.open(disk: disk, directory: directory, account: id).slot
    let segments = try SegmentStore.open(
      disk: disk, directory: "\(directory)/\(Shard.segmentsName)", account: id, base: slot.segmentsEnd,
      configuration: configuration)
    return AccountLog(id: id, segments: segments)
  }

  /// Stops taking requests, makes everything durable, splits the log, and ends the threads.
  package func close() {
    threads?.stop()
    finishLog()
    for entry in entries.with({ Array($0.values) }) {
      entry.state.with { s in
        s.shard?.shut()
        s.shard = nil
        entry.show(nil, s.log)
      }
    }
  }

  /// Writes what waits in the log and moves it to the segments.
  private func finishLog() {
    while log.flushGroup() {}
    for entry in entries.with({ Array($0.values) }) {
      if let log = entry.state.with({ $0.log }) { try? log.split() }
    }
  }

  // MARK: accounts

  /// Ids of the accounts whose directory is there, sorted.
  package func accounts() -> [AccountID] { entries.with { $0.keys.sorted() } }

  package func hasAccount(_ id: AccountID) -> Bool { entries.with { $0[id] != nil } }

  func entry(_ id: AccountID) throws(StoreError) -> Entry {
    guard let entry = entries.with({ $0[id] }) else {
      throw StoreError(.notFound, "there is no account \(id) on this node")
    }
    return entry
  }

  func entryIfKnown(_ id: AccountID) -> Entry? { entries.with { $0[id] } }
  func removeEntry(_ id: AccountID) { entries.with { $0[id] = nil } }
  func addEntry(_ id: AccountID) { entries.with { $0[id] = Entry(id) } }

  /// The open shard; opens it when it is closed, which blocks for the redo.
  func openNow(_ id: AccountID, isHeld: Bool = false) throws(StoreError) -> Shard {
    let entry = try entry(id)
    return try entry.state.with { s throws(StoreError) in
      if s.isGone { throw StoreError(.notFound, "account \(id) is being removed") }
      if let shard = s.shard {
        guard shard.hasFailed else {
          if isHeld { shard.hold() }
          return shard
        }
        // Records of it may still be on their way into the log: a new opening must know how that ended.
        // Whoever still holds a pin, an upload or a session of it finds it closed.
        guard shard.isDrained else { throw shard.failureToTell }
        shard.shut()
        s.shard = nil
        entry.show(nil, s.log)
      }
      let log: AccountLog
      if let known = s.log {
        log = known
        try log.split()
      } else {
        log = try Self.openAccountLog(id, configuration, disk)
        if let torn = log.segments.torn { throw Self.torn(torn) }
        s.log = log
      }
      let shard = try Shard.open(
        id, directory: directory(of: id), disk: disk, kek: kek.with { $0 }, log: self.log, accountLog: log,
        environment: environment)
      s.shard = shard
      entry.open(shard, log)
      if !configuration.isReplicated, shard.pages.published.index == 0 || shard.pages.currentPages == 0 {
        shard.writeSchema()
      }
      if isHeld { shard.hold() }
      return shard
    }
  }

  func openShard(_ id: AccountID) -> Shard? { entries.with { $0[id] }?.state.with { $0.shard } }

  func directory(of id: AccountID) -> String { "\(configuration.accountsDirectory)/\(id)" }

  var openShards: [Shard] { entries.with { Array($0.values) }.compactMap { $0.state.with { $0.shard } } }
  package var openShardCount: Int { openShards.count }

  private func endEpochs() { for shard in openShards { shard.endEpoch() } }

  /// The open shard, opened on a thread that may block. It stays open until the caller says `release`: between opening and
  /// use an idle account may not be closed, however long the caller waits for a processor.
  func held(_ id: AccountID) async throws -> Shard {
    let open = try entry(id).state.with { s -> Shard? in
      guard let shard = s.shard, !shard.hasFailed else { return nil }
      shard.hold()
      return shard
    }
    if let open { return open }
    return try await onReader { try self.openNow(id, isHeld: true) }
  }

  func onReader<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await environment.onReader(body)
  }

  /// Syncs and bytes of the commit log so far.
  package var logCounters: (syncs: Int, recordBytes: Int, blockBytes: Int) {
    let c = log.counters
    return (c.syncs, c.recordBytes, c.blockBytes)
  }

  // MARK: steps

  /// Writes and syncs one group of the commit log. False when nothing waited.
  package func flushLog() -> Bool { log.flushGroup() }

  /// Moves published records of full log files into segments and frees the files. Accounts that fail keep their records
  /// in the log; their error comes back.
  @discardableResult
  package func splitLog(all: Bool = false) -> [(AccountID, StoreError)] {
    if all { log.roll() }
    var failures: [(AccountID, StoreError)] = []
    for id in log.accountsInFullFiles().keys {
      guard let entry = entries.with({ $0[id] }), let accountLog = entry.state.with({ $0.log }) else { continue }
      do { try accountLog.split() } catch {
        failures.append((id, error))
        failUnlessFull(id, error)
      }
    }
    log.cut { id, index in
      guard let log = entries.with({ $0[id] })?.state.with({ $0.log }) else { return true }
      return log.isSegmented(index)
    }
    return failures
  }

  /// One step of the account's checkpoint; begins one when `force` or when it is due. False when nothing is to be done.
  package func stepCheckpoint(_ id: AccountID, force: Bool = false) -> Bool {
    guard let shard = entries.with({ $0[id] })?.state.with({ $0.shard }) else { return false }
    if force || shard.wantsCheckpoint { shard.startCheckpoint() }
    do { return try shard.stepCheckpoint() } catch {
      failUnlessFull(id, error)
      return false
    }
  }

  /// A full disk is no reason to doubt the account's files: what was not written stays in memory and in the log, and is
  /// written when there is room. Reads go on meanwhile.
  private func failUnlessFull(_ id: AccountID, _ error: StoreError) {
    if error.code != .diskFull { fail(id, error) }
  }

  /// A file of the account failed: it takes no more requests, since nothing that was written to that file can be
  /// believed; once its last records have come back from the log, the next request opens it again by redo.
  private func fail(_ id: AccountID, _ error: StoreError) {
    entries.with { $0[id] }?.state.with { $0.shard }?.fail(error)
  }

  /// Closes an account that nobody uses. False when it is in use or cannot be written out.
  package func closeIdle(_ id: AccountID) -> Bool {
    guard let entry = entries.with({ $0[id] }) else { return false }
    return entry.state.with { s in
      // A standby without a new mark cannot flush; its records are redone when it opens.
      guard let shard = s.shard, shard.isIdle, !shard.pages.hasUnflushed || !shard.mayCheckpoint else { return false }
      do { try s.log?.split() } catch { return false }
      guard shard.beginClosing() else { return false }
      shard.shut()
      s.shard = nil
      entry.show(nil, s.log)
      if log.accountsInFullFiles()[id] == nil { s.log?.segments.close() }
      return true
    }
  }
}
