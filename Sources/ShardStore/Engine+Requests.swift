// Reads, writes, sessions, recordings and pins: what the layers above ask of an account.

package import Base
package import SQLite
import Threads

extension Engine {
  /// Runs `body` on the last published state; it waits for no writer, and no writer for it.
  /// `.moved` when `source` is the primary, and this node is not; and when `confirm`, asked once that state is pinned,
  /// says that it may not be shown.
  package func read<T: Sendable>(
    _ id: AccountID, from source: ReadSource = .primary, confirm: (@Sendable () -> Bool)? = nil,
    _ body: @escaping @Sendable (Connection) throws -> T
  ) async throws -> Answer<T> {
    for attempt in 0..<3 {
      let shard = try await held(id)
      defer { shard.release() }
      do {
        let (value, position) = try await shard.onReader { try shard.readNow(from: source, confirm: confirm, body) }
        return Answer(value: value, position: position, replayed: false)
      } catch let error as StoreError where error.code == .closed && attempt < 2 { continue }
    }
    throw StoreError(.busy, "the account is opening and closing; try again")
  }

  /// As `read`, for an object: `body` finds what is wanted of which recording, and its first bytes come on the same way.
  /// `.damaged` when a part of the recording is missing.
  package func readObject<T: Sendable>(
    _ id: AccountID, from source: ReadSource = .primary, confirm: (@Sendable () -> Bool)? = nil,
    _ body: @escaping @Sendable (Connection) throws -> (T, RecordingWish?)
  ) async throws -> Answer<FoundObject<T>> {
    for attempt in 0..<3 {
      let shard = try await held(id)
      defer { shard.release() }
      do {
        let (found, position) = try await shard.onReader {
          let ((value, wish), position) = try shard.readNow(from: source, confirm: confirm, body)
          guard let wish else { return (FoundObject(value: value), position) }
          let reader = try self.recordingNow(shard, wish.recording)
          let first = try reader.readNow(offset: wish.offset, count: wish.count)
          return (FoundObject(value: value, reader: reader, first: first), position)
        }
        return Answer(value: found, position: position, replayed: false)
      } catch let error as StoreError where error.code == .closed && attempt < 2 { continue }
    }
    throw StoreError(.busy, "the account is opening and closing; try again")
  }

  /// Runs `body` in a savepoint on the account's single writer, together with other requests, and returns when its effect
  /// is durable. `body` may run more than once.
  package func write<T: Sendable>(_ id: AccountID, _ body: @escaping @Sendable (Connection) throws -> T) async throws
    -> Answer<T>
  {
    try await withWriter(id) { shard, continuation in
      shard.submit(body) { result in continuation.resume(with: result) }
    }
  }

  /// As `write`, with an effect at most once for the same key; a repetition gets the bytes that the first one gave.
  package func write(
    _ id: AccountID, idempotency: Idempotency?, _ body: @escaping @Sendable (Connection) throws -> [UInt8]
  ) async throws -> Answer<[UInt8]> {
    guard let idempotency else { return try await write(id, body) }
    return try await withWriter(id) { shard, continuation in
      shard.submitOnce(idempotency, body) { result in continuation.resume(with: result) }
    }
  }

  private func withWriter<T: Sendable>(
    _ id: AccountID,
    _ submit: @escaping @Sendable (Shard, CheckedContinuation<Answer<T>, any Error>) -> Void
  ) async throws -> Answer<T> {
    for attempt in 0..<3 {
      let shard = try await held(id)
      defer { shard.release() }
      do {
        return try await withCheckedThrowingContinuation { submit(shard, $0) }
      } catch let error as StoreError where error.code == .closed && attempt < 2 { continue }
    }
    throw StoreError(.notApplied, "the account is opening and closing; try again")
  }

  /// As `write` of an account that is open, without a task: false, and nothing was begun, when it is not. `reply` is
  /// called once, on whichever thread knows the outcome: it must return at once.
  package func writeIfOpen<T: Sendable>(
    _ id: AccountID, _ body: @escaping @Sendable (Connection) throws -> T,
    _ reply: @escaping @Sendable (Result<Answer<T>, any Error>) -> Void
  ) -> Bool {
    guard let shard = openShard(id), !shard.hasFailed else { return false }
    shard.state.with { $0.users += 1 }
    shard.submit(body) { result in
      shard.state.with { $0.users -= 1 }
      reply(result)
    }
    return true
  }

  /// As `write` without waiting: for callers that have no task, such as simulations.
  package func submit<T: Sendable>(
    _ id: AccountID, _ body: @escaping @Sendable (Connection) throws -> T,
    _ reply: @escaping @Sendable (Result<Answer<T>, any Error>) -> Void
  ) {
    do { try openNow(id).submit(body, reply) } catch { reply(.failure(error)) }
  }

  /// As `read`, on the caller's thread.
  package func readNow<T>(
    _ id: AccountID, from source: ReadSource = .primary, _ body: (Connection) throws -> T
  ) throws -> (T, Position) {
    try openNow(id).readNow(from: source, body)
  }

  /// A connection of its own, for transactions that span requests.
  package func session(_ id: AccountID) async throws -> Session {
    let shard = try await held(id)
    defer { shard.release() }
    return Session(shard, engine: self)
  }

  /// `saidMD5`: what its bytes will have, as their sender has computed it; else it is computed here.
  package func upload(_ id: AccountID, saidMD5: [UInt8]? = nil) async throws -> Upload {
    let shard = try await held(id)
    defer { shard.release() }
    return try await shard.onReader { [clock] in
      let (recording, key) = try shard.recordings.begin(now: clock.monotonicNanoseconds())
      return Upload(shard, id: recording, key: key, saidMD5: saidMD5)
    }
  }

  /// A recording that is there as a whole already, of any size: durable when it returns.
  package func store(_ id: AccountID, _ bytes: [UInt8], saidMD5: [UInt8]? = nil) async throws -> StoredRecording {
    let shard = try await held(id)
    defer { shard.release() }
    return try await shard.onReader { [clock] in
      let (recording, key) = try shard.recordings.begin(now: clock.monotonicNanoseconds())
      let upload = Upload(shard, id: recording, key: key, saidMD5: saidMD5)
      try upload.appendNow(bytes)
      return try upload.finishNow()
    }
  }

  /// As `upload`, on the caller's thread; `recording` names an id to keep.
  package func uploadNow(_ id: AccountID, recording: RecordingID? = nil) throws -> Upload {
    let shard = try openNow(id)
    if let recording {
      return Upload(
        shard, id: recording, key: try shard.recordings.begin(recording, now: clock.monotonicNanoseconds()))
    }
    let (new, key) = try shard.recordings.begin(now: clock.monotonicNanoseconds())
    return Upload(shard, id: new, key: key)
  }

  /// `.notFound` when it is not there, `.damaged` when a part of it is missing.
  package func recording(_ id: AccountID, _ recording: RecordingID) async throws -> RecordingReader {
    let shard = try await held(id)
    defer { shard.release() }
    return try await shard.onReader { try self.recordingNow(shard, recording) }
  }

  package func recordingNow(_ id: AccountID, _ recording: RecordingID) throws -> RecordingReader {
    try recordingNow(try openNow(id), recording)
  }

  private func recordingNow(_ shard: Shard, _ recording: RecordingID) throws -> RecordingReader {
    guard let places = try shard.recordings.volumes.chunks(of: recording) else {
      throw StoreError(.damaged, "recording \(recording) is not whole in the volumes of account \(shard.id)")
    }
    return RecordingReader(shard, id: recording, places: places)
  }

  /// The database at one position, for as long as the view lives.
  package func pin(_ id: AccountID) async throws -> PinnedView {
    let shard = try await held(id)
    defer { shard.release() }
    return try await shard.onReader { try PinnedView(shard) }
  }

  package func pinNow(_ id: AccountID) throws -> PinnedView { try PinnedView(try openNow(id)) }

  /// The position that a new reader would see; nil for an account that is not open.
  package func publishedIfOpen(_ id: AccountID) -> Position? { openShard(id)?.pages.published }

  /// The position that a new reader would see.
  package func published(_ id: AccountID) throws(StoreError) -> Position { try openNow(id).pages.published }
}

extension Shard {
  func submit<T: Sendable>(
    _ body: @escaping @Sendable (Connection) throws -> T,
    _ reply: @escaping @Sendable (Result<Answer<T>, any Error>) -> Void
  ) {
    let box = ResultBox<T>()
    enqueue(
      .member(
        body: { box.value = try body($0) },
        reply: { result in
          reply(result.map { Answer(value: box.value!, position: $0, replayed: box.replayed) })
        }))
  }

  func submitOnce(
    _ idempotency: Idempotency, _ body: @escaping @Sendable (Connection) throws -> [UInt8],
    _ reply: @escaping @Sendable (Result<Answer<[UInt8]>, any Error>) -> Void
  ) {
    let box = ResultBox<[UInt8]>()
    let keep = Int64(configuration.idempotencyKeep.nanoseconds / 1_000)
    enqueue(
      .member(
        body: { [self] connection in
          let now = try requestTime(connection)
          if let stored = try Self.storedReply(connection, idempotency, since: now - keep) {
            box.value = stored
            box.replayed = true
            return
          }
          let value = try body(connection)
          guard value.count <= Limits.idempotencyReplyBytesMax else {
            throw StoreError(.tooLarge, "the reply is too large to be kept for its idempotency key; ask for less")
          }
          try Self.store(connection, idempotency, value, now: now, keep: keep)
          box.value = value
          box.replayed = false
        },
        reply: { result in
          reply(result.map { Answer(value: box.value!, position: $0, replayed: box.replayed) })
        }))
  }

  /// Microseconds on the clock by which kept replies age: it passes only while somebody leads the account, and never faster
  /// than the monotonic clock, so a wall clock that is set forward makes no key forgotten. It goes on from the newest
  /// reply, whichever node kept that one. Called by whoever has the turn.
  private func requestTime(_ connection: Connection) throws -> UnixMicroseconds {
    let monotonic = environment.clock.monotonicNanoseconds()
    if let known = state.with({ $0.requestTime }) {
      return known.start + Int64((monotonic - known.monotonicStart) / 1_000)
    }
    let newest = try connection.query("SELECT max(at_us) FROM main.komora_requests").first?.first?.integer
    let start = newest ?? environment.clock.unixMicroseconds()
    state.with { $0.requestTime = RequestTime(start: start, monotonicStart: monotonic) }
    return start
  }

  private static func storedReply(_ connection: Connection, _ request: Idempotency, since: Int64) throws -> [UInt8]? {
    guard (1...Limits.idempotencyKeyBytesMax).contains(request.key.utf8.count) else {
      throw StoreError(.refused, "an idempotency key has 1 to \(Limits.idempotencyKeyBytesMax) bytes")
    }
    let rows = try connection.query(
      "SELECT hash, reply FROM main.komora_requests WHERE key = ? AND at_us >= ?", .text(request.key), .integer(since))
    guard let row = rows.first else { return nil }
    guard row[0] == .blob(request.requestHash) else {
      throw StoreError(.refused, "this idempotency key was used for another request; take a new one")
    }
    return row[1].blob ?? []
  }

  private static func store(
    _ connection: Connection, _ request: Idempotency, _ reply: [UInt8], now: Int64, keep: Int64
  ) throws {
    try connection.execute(
      "INSERT OR REPLACE INTO main.komora_requests VALUES (?,?,?,?)", .text(request.key), .blob(request.requestHash),
      .blob(reply), .integer(now))
    // A few at a time, so that no request pays for a day's.
    try connection.execute(
      "DELETE FROM main.komora_requests WHERE key IN (SELECT key FROM main.komora_requests WHERE at_us < ? LIMIT 4)",
      .integer(now - keep))
  }
}
