// An account over days: random writes, uploads, deletions, restarts on a clock that the world moves, and a model that
// remembers what was there after each commit. Whatever moment is restored must be what the model says.

import AtRest
import Backup
import Base
import Disk
import Formats
import OpenSSL
import SQLite
import ShardStore
import Simulator
import Testing
import Threads

/// Time that moves only when a test moves it.
final class MovingClock: StoreClock {
  private let state = Lock((wall: Int64(1_700_000_000_000_000), monotonic: UInt64(1_000_000_000)))
  func unixMicroseconds() -> UnixMicroseconds { state.with { $0.wall } }
  func monotonicNanoseconds() -> UInt64 { state.with { $0.monotonic } }
  func advance(microseconds step: Int64) {
    state.with { s in
      s.wall += step
      s.monotonic += UInt64(step) * 1_000
    }
  }
  /// Somebody sets the wall clock.
  func set(back step: Int64) { state.with { $0.wall -= step } }
}

/// What an account holds.
struct AccountContent: Equatable, Sendable {
  var calls: [Int64: [UInt8]] = [:]
  /// Nil while the table is not there.
  var notes: [Int64: [UInt8]]?
  /// Keys and hashes of bytes.
  var recordings: [String: [UInt8]] = [:]
}

final class MomentWorld {
  struct Commit {
    var time: UnixMicroseconds
    var position: Position
    var content: AccountContent
  }

  static let account = AccountID(bits: 0xA)
  let clock = MovingClock()
  var disk: any Disk
  var random: SeededGenerator
  var store: TestStore
  let accountKey: SecretBytes
  var archive: AccountArchive
  var content = AccountContent()
  var commits: [Commit] = []
  /// Positions of snapshots and their records' times.
  var snapshots: [(position: Position, time: UnixMicroseconds)] = []
  private var names = 0
  private var copies: UInt128 = 0x1000

  init(seed: UInt64, disk: any Disk) async throws {
    random = SeededGenerator(seed: seed)
    self.disk = disk
    store = try Self.open(disk, clock)
    archive = Self.archive(disk, clock)
    try await store.engine.createAccount(Self.account)
    accountKey = try store.engine.keyring(Self.account).accountKey
    try await commit { try $0.execute("CREATE TABLE calls(id INTEGER PRIMARY KEY, body BLOB)") }
  }

  /// Small files, few pages a record, many checkpoints: everything that a week has, in a few hundred steps.
  static func open(_ disk: any Disk, _ clock: MovingClock) throws -> TestStore {
    try TestStore.open(disk, logFileBytes: 512 << 10, clock: clock) { configuration in
      configuration.logFilesMax = 8
      configuration.segmentBytes = 96 << 10
      configuration.recordPages = 8
      configuration.checkpointVersions = 150
      configuration.maintenancePeriod = .milliseconds(5)
      configuration.volumeBytes = 1 << 20
      configuration.idempotencyKeep = .seconds(1)
    }
  }

  static func archive(_ disk: any Disk, _ clock: MovingClock) -> AccountArchive {
    AccountArchive(
      disk: disk, layout: ArchiveLayout(root: "/archive", account: account), clock: { clock.unixMicroseconds() },
      packBytesMax: 256 << 10, logRunBytes: 48 << 10)
  }

  // MARK: the account's life

  /// Runs `body` as one commit and remembers `content` under its record's time.
  func commit(_ body: @escaping @Sendable (Connection) throws -> Void) async throws {
    let answer = try await store.engine.write(Self.account, body)
    // A write that changed nothing has no record of its own.
    if let last = commits.last, last.position == answer.position { return }
    let found = try await store.engine.publishedRecords(Self.account, from: answer.position.index, bytesMax: 1)
    let record = try #require(found?.records.first)
    #expect(record.position == answer.position)
    if let last = commits.last { #expect(record.header.time > last.time, "times only grow") }
    commits.append(Commit(time: record.header.time, position: record.position, content: content))
  }

  private func bytes(_ count: Int) -> [UInt8] {
    let seed = random.next()
    return TestStore.content(count, seed: seed)
  }

  func writeCalls(_ count: Int) async throws {
    var changes: [(Int64, [UInt8])] = []
    for _ in 0..<count {
      let id = Int64(random.below(400))
      let body = bytes(random.below(900))
      changes.append((id, body))
      content.calls[id] = body
    }
    let all = changes
    try await commit { c in
      for (id, body) in all {
        try c.execute("INSERT OR REPLACE INTO calls VALUES(?, ?)", .integer(id), .blob(body))
      }
    }
  }

  func deleteCalls() async throws {
    let from = Int64(random.below(400))
    content.calls = content.calls.filter { !(from..<(from + 60)).contains($0.key) }
    try await commit {
      try $0.execute("DELETE FROM calls WHERE id >= ? AND id < ?", .integer(from), .integer(from + 60))
    }
  }

  /// A table that comes and goes, so that the database grows and, vacuumed, shrinks.
  func toggleNotes() async throws {
    if content.notes == nil {
      let rows = (0..<80).map { (Int64($0), bytes(500)) }
      content.notes = Dictionary(uniqueKeysWithValues: rows)
      try await commit { c in
        try c.execute("CREATE TABLE notes(id INTEGER PRIMARY KEY, body BLOB)")
        for (id, body) in rows { try c.execute("INSERT INTO notes VALUES(?, ?)", .integer(id), .blob(body)) }
      }
    } else {
      content.notes = nil
      try await commit { try $0.execute("DROP TABLE notes") }
    }
  }

  /// A new one of `bytes`, or one of any size that may replace another.
  func upload(bytes size: Int? = nil) async throws {
    names += 1
    let replaces = size == nil && random.oneIn(4)
    let key = replaces ? (content.recordings.keys.min() ?? "calls/0.wav") : "calls/\(names).wav"
    let body = bytes(size ?? 1 + random.below(random.oneIn(5) ? 600_000 : 20_000))
    let stored = try await store.engine.store(Self.account, body)
    content.recordings[key] = SHA256.hash(body)
    let now = clock.unixMicroseconds()
    try await commit {
      try RecordingCatalog.put($0, key: key, stored, contentType: "audio/wav", metadata: "{}", at: now)
    }
  }

  func deleteRecording() async throws {
    guard let key = content.recordings.keys.min() else { return }
    content.recordings[key] = nil
    let now = clock.unixMicroseconds()
    try await commit { _ = try RecordingCatalog.delete($0, key: key, at: now) }
  }

  func snapshot(archiving: Bool = true) async throws {
    let info = try await archive.createSnapshot(of: store.engine, kind: .daily)
    let found = try await store.engine.publishedRecords(Self.account, from: info.position.index, bytesMax: 1)
    snapshots.append((info.position, try #require(found?.records.first).header.time))
    if archiving { try await archive.archiveLog(of: store.engine) }
  }

  func restart() throws {
    store.engine.close()
    store = try Self.open(disk, clock)
    archive = Self.archive(disk, clock)
  }

  /// One step of a random life.
  func step() async throws {
    clock.advance(microseconds: Int64(1 + random.below(2_400)) * 1_000_000 + Int64(random.below(1_000_000)))
    switch random.below(100) {
    case 0..<45: try await writeCalls(1 + random.below(6))
    case 45..<50: try await writeCalls(150)
    case 50..<57: try await deleteCalls()
    case 57..<61: try await toggleNotes()
    case 61..<75: try await upload()
    case 75..<82: try await deleteRecording()
    case 82..<92: try await archive.archiveLog(of: store.engine)
    case 92..<96: try await snapshot()
    case 96: try restart()
    // Within a moment that the account's records have not reached: times go on by microseconds.
    case 97: clock.set(back: 3_600_000_000)
    default: _ = store.engine.stepCheckpoint(Self.account, force: true)
    }
  }

  // MARK: what must come back

  /// The moments that are promised.
  var promised: ClosedRange<UnixMicroseconds> { snapshots[0].time...commits.last!.time }

  func expected(at moment: UnixMicroseconds) -> AccountContent { commits.last { $0.time <= moment }!.content }

  /// Commit times, one microsecond before, and anything between.
  func randomMoment() -> UnixMicroseconds {
    let range = promised
    let moment =
      switch random.below(3) {
      case 0: commits[random.below(commits.count)].time
      case 1: commits[random.below(commits.count)].time - 1
      default: range.lowerBound + Int64(random.below(Int(range.upperBound - range.lowerBound)))
      }
    return max(moment, range.lowerBound)
  }

  /// Restores `moment` into an account that is removed again; gives what it held.
  func restored(at moment: UnixMicroseconds, skipping skipped: LogIndex? = nil) async throws -> (
    content: AccountContent, report: RestoreReport
  ) {
    copies += 1
    let copy = AccountID(bits: copies)
    var request = MomentRequest(at: moment, as: copy, unlockedBy: .keyEncryption(store.kek))
    request.skipped = skipped
    let report = try await archive.restore(request, into: store.engine)
    let content = try await store.content(copy)
    try await store.engine.removeAccount(copy)
    return (content, report)
  }
}

extension TestStore {
  /// All rows, and the hash of every recording's bytes.
  func content(_ id: AccountID) async throws -> AccountContent {
    var content = try await engine.read(id) { connection in
      var content = AccountContent()
      content.calls = try Self.rows("calls", connection)
      if try !connection.query("SELECT 1 FROM sqlite_schema WHERE name = 'notes'").isEmpty {
        content.notes = try Self.rows("notes", connection)
      }
      return content
    }.value
    for row in try await engine.read(id, { try RecordingCatalog.list($0, limit: 10_000) }).value {
      let reader = try await engine.recording(id, row.id)
      var bytes: [UInt8] = []
      while bytes.count < reader.size {
        bytes += try await reader.read(offset: bytes.count, count: Limits.recordingChunkBytes)
      }
      content.recordings[row.key] = SHA256.hash(bytes)
    }
    return content
  }

  private static func rows(_ table: String, _ connection: Connection) throws -> [Int64: [UInt8]] {
    var rows: [Int64: [UInt8]] = [:]
    for row in try connection.query("SELECT id, body FROM \(table)") {
      if case .integer(let id) = row[0], case .blob(let body) = row[1] { rows[id] = body }
    }
    return rows
  }
}
