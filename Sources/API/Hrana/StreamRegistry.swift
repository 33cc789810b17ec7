// Streams between two requests, by baton.
//
// A baton is good for one request of the credential that got it; what it says is in `Baton`. While a request runs, its stream is
// in nobody's hands but the request's, so two requests never run on one stream. A cursor's reply names the next baton
// before the batch has ended: a request that comes with it waits for the stream. Sessions are scarce: an account may
// have a number of them, and one that pauses too long is closed, which rolls its transaction back.

package import Base
import OpenSSL
package import ShardStore
import Threads

package final class StreamRegistry: Sendable {
  package struct Limits: Sendable {
    /// Streams with a session, per account.
    package var sessionsPerAccount: Int
    /// Streams of one account that wait for a next request; beyond it the longest waiting light one goes.
    package var waitingPerAccount = 1000
    /// Nanoseconds.
    package var sessionIdle: UInt64
    package var sessionLife: UInt64
    package var lightIdle: UInt64 = 600_000_000_000

    package init(sessionsPerAccount: Int, sessionIdle: UInt64, sessionLife: UInt64) {
      self.sessionsPerAccount = sessionsPerAccount
      self.sessionIdle = sessionIdle
      self.sessionLife = sessionLife
    }
  }

  private struct Waiting: Sendable {
    var stream: HranaStream
    var since: UInt64
  }

  /// A request that waits for a cursor to end.
  private struct Waiter {
    var since: UInt64
    var continuation: CheckedContinuation<Void, Never>
  }

  private struct State {
    var waiting: [String: Waiting] = [:]
    /// Batons whose cursors are being written.
    var busy: [String: [Waiter]] = [:]
    /// Entries of `waiting` by account.
    var counts: [AccountID: Int] = [:]
    var sessions: [AccountID: Int] = [:]
    var closed = false

    mutating func remove(_ baton: String) -> HranaStream? {
      guard let stream = waiting.removeValue(forKey: baton)?.stream else { return nil }
      let left = counts[stream.account, default: 1] - 1
      counts[stream.account] = left > 0 ? left : nil
      return stream
    }
  }

  private let limits: Limits
  private let clock: any StoreClock
  private let state = Lock(State())
  /// Drawn at its start.
  private let owner: UInt64

  package init(limits: Limits, clock: any StoreClock) {
    self.limits = limits
    self.clock = clock
    var random = SystemRandom()
    owner = random.next()
  }

  /// For a stream that stays here, or that can go on anywhere with its last row id.
  package func drawBaton(lastInsertRowID: Int64? = nil) -> String {
    Baton(owner: owner, lastInsertRowID: lastInsertRowID).text
  }

  /// Whether another process made the baton, or this one in an earlier life.
  package func isForeign(_ baton: Baton) -> Bool { baton.owner != owner }

  /// Takes the stream of a baton, which is used up; waits while its cursor is being written. Nil when there is none, or
  /// it is somebody else's.
  package func take(_ baton: String, account: AccountID, credential: String) async -> HranaStream? {
    if let stream = takeNow(baton, account: account, credential: credential) { return stream }
    let now = clock.monotonicNanoseconds()
    await withCheckedContinuation { continuation in
      let waits = state.with { state in
        guard state.busy[baton] != nil else { return false }
        state.busy[baton]?.append(Waiter(since: now, continuation: continuation))
        return true
      }
      if !waits { continuation.resume() }
    }
    return takeNow(baton, account: account, credential: credential)
  }

  /// As `take`, without waiting. With `forCursor` others with this baton wait until `put` or `release`.
  package func takeNow(_ baton: String, account: AccountID, credential: String, forCursor: Bool = false) -> HranaStream?
  {
    state.with { state in
      guard let found = state.waiting[baton], found.stream.account == account, found.stream.credential == credential
      else {
        return nil
      }
      if forCursor { state.busy[baton] = [] }
      return state.remove(baton)
    }
  }

  /// The cursor of `baton` has ended.
  package func release(_ baton: String) {
    let waiters = state.with { $0.busy.removeValue(forKey: baton) } ?? []
    for waiter in waiters { waiter.continuation.resume() }
  }

  /// Puts a stream back under `baton`. False after `close`, or when its session has lived too long: then the caller
  /// closes the stream.
  package func put(_ stream: HranaStream, baton: String) -> Bool {
    defer { release(baton) }
    let now = clock.monotonicNanoseconds()
    return state.with { state in
      guard !state.closed, !isOver(stream, now) else { return false }
      if state.counts[stream.account, default: 0] >= limits.waitingPerAccount {
        let light = state.waiting.filter { $0.value.stream.account == stream.account && $0.value.stream.session == nil }
        guard let oldest = light.min(by: { $0.value.since < $1.value.since }) else { return false }
        _ = state.remove(oldest.key)
      }
      state.waiting[baton] = Waiting(stream: stream, since: now)
      state.counts[stream.account, default: 0] += 1
      return true
    }
  }

  /// Counts a session of the account, before it is opened.
  package func admitSession(_ account: AccountID) throws(HranaError) {
    let admitted = state.with { state in
      guard !state.closed, state.sessions[account, default: 0] < limits.sessionsPerAccount else { return false }
      state.sessions[account, default: 0] += 1
      return true
    }
    guard admitted else {
      throw HranaError("NOT_APPLIED_BUSY", "the account has too many open transactions: try again in a moment")
    }
  }

  package func releaseSession(_ account: AccountID) {
    state.with { state in
      let left = state.sessions[account, default: 1] - 1
      state.sessions[account] = left > 0 ? left : nil
    }
  }

  /// Takes out the streams whose time is over; the caller closes their sessions. Requests that have waited as long as a
  /// session may pause go on without a stream.
  package func takeExpired() -> [HranaStream] {
    let now = clock.monotonicNanoseconds()
    let tired = state.with { state in
      state.busy.filter { $0.value.contains { Self.passed($0.since, now) > limits.sessionIdle } }.keys
    }
    for baton in tired { release(baton) }
    return state.with { state in
      let over = state.waiting.filter { _, waiting in
        let idle = waiting.stream.session == nil ? limits.lightIdle : limits.sessionIdle
        return Self.passed(waiting.since, now) > idle || isOver(waiting.stream, now)
      }
      return over.keys.compactMap { state.remove($0) }
    }
  }

  /// Takes out everything and takes nothing more.
  package func close() -> [HranaStream] {
    state.with { state in
      state.closed = true
      return state.waiting.keys.compactMap { state.remove($0) }
    }
  }

  private func isOver(_ stream: HranaStream, _ now: UInt64) -> Bool {
    stream.session != nil && Self.passed(stream.sessionSince, now) > limits.sessionLife
  }

  /// Whoever looks at the time before it has the lock may find what another has noted later: then nothing has passed.
  private static func passed(_ since: UInt64, _ now: UInt64) -> UInt64 { now > since ? now - since : 0 }
}
