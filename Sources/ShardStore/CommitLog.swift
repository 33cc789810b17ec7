// The node's commit log: records of all its shards, in files that are zero-filled once and used again.
//
// Whatever waits when a sync has ended goes into the next group: one write, one sync. A file is free again when each of
// its records is in a synced segment or was dropped. A failed write or sync ends the file: what was in that group is
// reported as failed, and the log goes on in another file. The log knows nothing of pages or keys.

import Base
import Disk
import Formats
import OpenSSL
import Threads

/// A record on its way into the log.
struct LogEntry: Sendable {
  let record: SealedRecord
  let owner: any LogOwner
}

/// A shard, as the log sees it.
protocol LogOwner: AnyObject, Sendable {
  var id: AccountID { get }
  /// Everything up to `last` is durable; `records` are those of the group, in order.
  func logged(_ records: [SealedRecord])
  /// The records could not be made durable. `handed` when the disk may hold them all the same.
  /// Gives what the owner has dropped of those that wait in the log; what it hands from then on stays.
  func logFailed(_ records: [SealedRecord], _ error: StoreError, handed: Bool) -> DroppedRecords
}

enum DroppedRecords {
  case upTo(Epoch)
  case these(Set<ObjectIdentifier>)

  func contains(_ record: SealedRecord) -> Bool {
    switch self {
    case .upTo(let epoch): record.header.epoch <= epoch
    case .these(let records): records.contains(ObjectIdentifier(record))
    }
  }
}

final class CommitLog: Sendable {
  struct File {
    let path: String
    let file: any DiskFile
    var generation: UInt64
    /// Greatest index of each account in the file.
    var accounts: [AccountID: LogIndex] = [:]
  }

  private struct State {
    var queue: [LogEntry] = []
    /// Records that are worth waking the log's thread for.
    var wanted = 1
    var current: File?
    /// Full files whose records are not all in segments.
    var full: [File] = []
    var free: [File] = []
    var generation: UInt64
    /// No file of this generation or a later one became free before an older one did.
    var wholeFrom: UInt64 = 0
    var group: UInt32 = 0
    var offset: UInt64 = 0
    var serial = 0
    var closing = false
    /// Syncs and bytes so far, for metrics and the benchmark.
    var syncs = 0
    var recordBytes = 0
    var blockBytes = 0
    /// A roll asks for the accounts of the file that was left.
    var rolled = false
  }

  let disk: any Disk
  private let configuration: EngineConfiguration
  private let state: Lock<State>
  struct FailureHandler {
    /// Told after a failed write or sync, when the affected owners know.
    var tell: (@Sendable () -> Void)?
  }
  let onFailure = Lock(FailureHandler())
  private let buffer = Lock<DiskBuffer>(DiskBuffer(capacity: 1 << 20))

  init(disk: any Disk, configuration: EngineConfiguration, nextGeneration: UInt64, free: [(String, any DiskFile)]) {
    self.disk = disk
    self.configuration = configuration
    state = Lock(
      State(
        free: free.map { File(path: $0.0, file: $0.1, generation: 0) }, generation: nextGeneration,
        serial: free.reduce(0) { max($0, Self.serial(of: $1.0)) }))
  }

  /// The number in a file's name. A file that could not be made leaves a gap, so their count says nothing.
  private static func serial(of path: String) -> Int { Int(path.split(separator: "/").last!.dropLast(5)) ?? 0 }

  struct Counters: Sendable {
    var syncs = 0
    var recordBytes = 0
    var blockBytes = 0
  }
  var counters: Counters {
    state.with { Counters(syncs: $0.syncs, recordBytes: $0.recordBytes, blockBytes: $0.blockBytes) }
  }

  /// Queues records; their owner hears when they are durable.
  func append(_ entries: [LogEntry]) {
    let isEnough = state.with { s in
      s.queue.append(contentsOf: entries)
      return s.queue.count >= s.wanted
    }
    if isEnough { state.wake() }
  }

  var hasWork: Bool { state.with { !$0.queue.isEmpty } }

  /// Waits until there is something to write; false when the log is closing and empty.
  func waitForWork() -> Bool {
    state.wait(until: { !$0.queue.isEmpty || $0.closing }, { !$0.queue.isEmpty })
  }

  /// Waits until `count` records are there, or for `time`: for when more are known to be on their way.
  func gather(_ count: Int, for time: Duration) {
    state.with { $0.wanted = count }
    _ = state.wait(for: time, until: { $0.queue.count >= count || $0.closing }, { _ in })
    state.with { $0.wanted = 1 }
  }

  func beginClosing() {
    state.with { $0.closing = true }
    state.wake()
  }

  /// Accounts with records in full files, each with the greatest index there: what to split so that files become free.
  func accountsInFullFiles() -> [AccountID: LogIndex] {
    state.with { s in
      s.full.reduce(into: [:]) { all, file in all.merge(file.accounts) { max($0, $1) } }
    }
  }

  var fullFiles: Int { state.with { $0.full.count } }

  /// Frees the full files whose records are all in segments, the oldest first: after a restart the order of an account's
  /// records says which of them replaced which, so none may be missing between two. Only when the log would stand still
  /// for the sake of one account is an older file passed over.
  func cut(_ isSegmented: (AccountID, LogIndex) -> Bool) {
    let files = state.with { $0.full }.sorted { $0.generation < $1.generation }
    func isDone(_ file: File) -> Bool { file.accounts.allSatisfy { isSegmented($0.key, $0.value) } }
    let isShort = files.count >= max(configuration.logFilesMax - 1, 3)
    let done = isShort ? files.filter(isDone) : Array(files.prefix(while: isDone))
    let generations = Set(done.map(\.generation))
    let oldestKept = files.first { !generations.contains($0.generation) }?.generation ?? .max
    let passed = generations.filter { $0 > oldestKept }.max()
    state.with { s in
      if let passed { s.wholeFrom = max(s.wholeFrom, passed + 1) }
      s.full.removeAll { generations.contains($0.generation) }
      s.free.append(contentsOf: done)
    }
    if !done.isEmpty { state.wake() }
  }

  /// Writes and syncs one group of what waits. False when nothing waited.
  @discardableResult
  func flushGroup() -> Bool {
    let entries = takeGroup()
    guard !entries.isEmpty else { return false }
    let bytes = entries.reduce(0) { $0 + $1.record.frame.count }
    let blocks = UInt64(LogBlock.blocks(forRecordBytes: bytes) * Limits.logBlockBytes)
    if configuration.plantedBugs.contains(.acknowledgeBeforeSync) { report(entries) }
    do {
      try prepareFile(for: blocks)
    } catch {
      fail(entries, error, handed: false)
      return true
    }
    do {
      try write(entries, bytes: bytes)
    } catch {
      leaveFile()
      fail(entries, error, handed: true)
      return true
    }
    if !configuration.plantedBugs.contains(.acknowledgeBeforeSync) { report(entries) }
    return true
  }

  private func takeGroup() -> [LogEntry] {
    state.with { s in
      var bytes = 0
      var count = 0
      while count < s.queue.count, count == 0 || bytes < configuration.logGroupBytes {
        bytes += s.queue[count].record.frame.count
        count += 1
      }
      if count == s.queue.count {
        defer { s.queue = [] }
        return s.queue
      }
      let taken = Array(s.queue[..<count])
      s.queue.removeFirst(count)
      return taken
    }
  }

  private func write(_ entries: [LogEntry], bytes: Int) throws(StoreError) {
    let (file, generation, group, offset) = state.with {
      ($0.current!.file, $0.current!.generation, $0.group, $0.offset)
    }
    let written = try buffer.with { buffer throws(StoreError) -> Int in
      buffer.clear()
      buffer.append(LogBlock.encodeGroup(entries.map(\.record.frame), generation: generation, group: group))
      do throws(DiskError) {
        try buffer.withSpan { span throws(DiskError) in try file.write(span, at: offset) }
        try file.sync()
      } catch { throw StoreError(error) }
      return buffer.count
    }
    state.with { s in
      s.offset += UInt64(written)
      s.group += 1
      s.syncs += 1
      s.recordBytes += bytes
      s.blockBytes += written
      for entry in entries {
        let header = entry.record.header
        s.current!.accounts[header.account] = max(s.current!.accounts[header.account] ?? 0, header.index)
      }
    }
  }

  /// Makes sure that the current file has room; rolls to a free or a new one.
  private func prepareFile(for bytes: UInt64) throws(StoreError) {
    let fileBytes = UInt64(configuration.logFileBytes)
    let fits = state.with { $0.current != nil && $0.offset + bytes <= fileBytes }
    if fits { return }
    leaveFile()
    var next = try nextFile(max(fileBytes, bytes + UInt64(Limits.logBlockBytes)))
    let (generation, oldest, whole) = state.with { s in
      s.generation += 1
      return (s.generation, s.full.map(\.generation).min() ?? s.generation, s.wholeFrom)
    }
    next.generation = generation
    next.accounts = [:]
    let header = LogFileHeader(
      generation: generation, oldestLive: oldest, wholeFrom: whole, fileBytes: fileBytes, node: configuration.node)
    let file = next
    do throws(DiskError) {
      let block = DiskBuffer(capacity: 4096)
      block.append(header.encode())
      try block.withSpan { span throws(DiskError) in try file.file.write(span, at: 0) }
      try file.file.sync()
    } catch { throw StoreError(error) }
    state.with { s in
      s.current = file
      s.offset = UInt64(Limits.logBlockBytes)
      s.group = 0
    }
  }

  /// The current file takes no more records.
  private func leaveFile() {
    state.with { s in
      if let current = s.current { s.full.append(current) }
      s.current = nil
      s.rolled = true
    }
  }

  /// True once after each roll.
  func takeRolled() -> Bool {
    state.with { s in
      defer { s.rolled = false }
      return s.rolled
    }
  }

  /// Leaves the current file so that everything in the log can be split and freed.
  func roll() { if state.with({ $0.current != nil && $0.offset > UInt64(Limits.logBlockBytes) }) { leaveFile() } }

  private func nextFile(_ bytes: UInt64) throws(StoreError) -> File {
    if let file = state.with({ $0.free.popLast() }) { return file }
    let (serial, count) = state.with { s in
      s.serial += 1
      return (s.serial, s.full.count)
    }
    guard count < configuration.logFilesMax else {
      throw StoreError(.busy, "the commit log is full of records that wait for their segments; try again in a moment")
    }
    let name = String(repeating: "0", count: max(0, 6 - String(serial).count)) + String(serial)
    let path = "\(configuration.logDirectory)/\(name).klog"
    do throws(DiskError) {
      let file = try disk.open(path, .createOrOpen, direct: configuration.directLog)
      try disk.zeroFill(file, bytes)
      try disk.syncDirectory(configuration.logDirectory)
      return File(path: path, file: file, generation: 0)
    } catch {
      // What was allocated is given back, or a full disk would stay full of half a log file.
      try? disk.remove(path)
      throw StoreError(error)
    }
  }

  private func report(_ entries: [LogEntry]) {
    for (owner, records) in Self.byOwner(entries) { owner.logged(records) }
  }

  /// Records behind a failed one can never be published: they leave the queue with it. The owners drop first, so that
  /// none of the old epoch comes after; what they queue for the next epoch stays.
  private func fail(_ entries: [LogEntry], _ error: StoreError, handed: Bool) {
    for (owner, records) in Self.byOwner(entries) {
      let dropped = owner.logFailed(records, error, handed: handed)
      state.with { s in s.queue.removeAll { $0.owner === owner && dropped.contains($0.record) } }
    }
    if handed { onFailure.with { $0.tell }?() }
  }

  private static func byOwner(_ entries: [LogEntry]) -> [(any LogOwner, [SealedRecord])] {
    var order: [(any LogOwner, [SealedRecord])] = []
    var place: [AccountID: Int] = [:]
    for entry in entries {
      if let at = place[entry.owner.id] {
        order[at].1.append(entry.record)
      } else {
        place[entry.owner.id] = order.count
        order.append((entry.owner, [entry.record]))
      }
    }
    return order
  }
}
