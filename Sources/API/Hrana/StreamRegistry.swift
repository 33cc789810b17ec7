// Streams between two requests, by baton.
//
// A baton is 256 random bits, good for one request of the credential that got it. While a request runs, its stream is in
// nobody's hands but the request's, so two requests never run on one stream. Sessions are scarce: an account may have a
// number of them, and one that pauses too long is closed, which rolls its transaction back.

import Base
import OpenSSL
import ShardStore
import Threads

final class StreamRegistry: Sendable {
  struct Limits: Sendable {
    /// Streams with a session, per account.
    var sessionsPerAccount: Int
    /// Streams of all accounts that wait for a next request; beyond it the longest waiting light one goes.
    var waitingMax = 20_000
    /// Nanoseconds.
    var sessionIdle: UInt64
    var sessionLife: UInt64
    var lightIdle: UInt64 = 600_000_000_000
  }

  private struct Waiting: Sendable {
    var stream: HranaStream
    var since: UInt64
  }

  private struct State {
    var waiting: [String: Waiting] = [:]
    var sessions: [AccountID: Int] = [:]
    var closed = false
  }

  private let limits: Limits
  private let clock: any StoreClock
  private let state = Lock(State())

  init(limits: Limits, clock: any StoreClock) {
    self.limits = limits
    self.clock = clock
  }

  static func drawBaton() -> String { SystemRandom.bytes(32).hex }

  /// Takes the stream of a baton, which is used up. Nil when there is none, or it is somebody else's.
  func take(_ baton: String, account: AccountID, credential: String) -> HranaStream? {
    state.with { state in
      guard let found = state.waiting[baton], found.stream.account == account, found.stream.credential == credential else {
        return nil
      }
      state.waiting[baton] = nil
      return found.stream
    }
  }

  /// Puts a stream back under `baton`. False after `close`, or when its session has lived too long: then the caller closes
  /// the stream.
  func put(_ stream: HranaStream, baton: String) -> Bool {
    let now = clock.monotonicNanoseconds()
    return state.with { state in
      guard !state.closed, !isOver(stream, now) else { return false }
      if state.waiting.count >= limits.waitingMax {
        let light = state.waiting.filter { $0.value.stream.session == nil }
        guard let oldest = light.min(by: { $0.value.since < $1.value.since }) else { return false }
        state.waiting[oldest.key] = nil
      }
      state.waiting[baton] = Waiting(stream: stream, since: now)
      return true
    }
  }

  /// Counts a session of the account, before it is opened.
  func admitSession(_ account: AccountID) throws(HranaError) {
    let admitted = state.with { state in
      guard !state.closed, state.sessions[account, default: 0] < limits.sessionsPerAccount else { return false }
      state.sessions[account, default: 0] += 1
      return true
    }
    guard admitted else {
      throw HranaError("NOT_APPLIED_BUSY", "the account has too many open transactions: try again in a moment")
    }
  }

  func releaseSession(_ account: AccountID) {
    state.with { state in
      let left = state.sessions[account, default: 1] - 1
      state.sessions[account] = left > 0 ? left : nil
    }
  }

  /// Takes out the streams whose time is over; the caller closes their sessions.
  func takeExpired() -> [HranaStream] {
    let now = clock.monotonicNanoseconds()
    return state.with { state in
      let over = state.waiting.filter { _, waiting in
        let idle = waiting.stream.session == nil ? limits.lightIdle : limits.sessionIdle
        return now - waiting.since > idle || isOver(waiting.stream, now)
      }
      for baton in over.keys { state.waiting[baton] = nil }
      return over.values.map(\.stream)
    }
  }

  /// Takes out everything and takes nothing more.
  func close() -> [HranaStream] {
    state.with { state in
      state.closed = true
      defer { state.waiting = [:] }
      return state.waiting.values.map(\.stream)
    }
  }

  private func isOver(_ stream: HranaStream, _ now: UInt64) -> Bool {
    stream.session != nil && now - stream.sessionSince > limits.sessionLife
  }
}
