// The part of a line that askers share: what waits to leave, and who waits for which reply.
//
// An asker puts its request here from whatever thread it is on, and wakes the loop only when nobody else has; its reply
// resumes it from the loop. So a request changes threads twice, and many that come together leave together.

import Formats
import Threads

final class ClientExchange: Sendable {
  private struct Waiting {
    let deadline: ContinuousClock.Instant
    let continuation: CheckedContinuation<ClientCore.Outcome, Never>
  }

  private struct State {
    var isOpen = false
    var waiting: [UInt32: Waiting] = [:]
    /// Messages that are to leave; what has been given to the channel is no longer in it.
    var outbox: [UInt8] = []
    /// The loop knows that there is something to send.
    var isWoken = false
    var nextID: UInt32 = 0
    /// When the next request is over, or earlier.
    var nextDeadline: ContinuousClock.Instant?
  }

  private let state = Lock(State())

  func open() { state.with { $0.isOpen = true } }

  /// Nothing can be asked any more; everybody who waits gets `outcome`.
  func close(_ outcome: ClientCore.Outcome) {
    let waiting = state.with { s in
      (s.isOpen, s.outbox, s.nextDeadline) = (false, [], nil)
      defer { s.waiting = [:] }
      return s.waiting
    }
    for request in waiting.values { request.continuation.resume(returning: outcome) }
  }

  /// `wake` is called when the loop does not know yet that there is something to send.
  func ask(
    _ request: AccountRequest, until limit: ContinuousClock.Instant, wake: () -> Void
  ) async -> ClientCore.Outcome {
    var request = request
    request.id = state.with { s in
      // A number that no waiting request has.
      repeat { s.nextID &+= 1 } while s.waiting[s.nextID] != nil
      return s.nextID
    }
    let message: [UInt8]
    do throws(FormatError) { message = try AccountQuestion.request(request).encode() } catch {
      return .invalid("the request is too large: \(error)")
    }
    return await withCheckedContinuation { continuation in
      let (isOpen, wakes) = state.with { s in
        guard s.isOpen else { return (false, false) }
        s.waiting[request.id] = Waiting(deadline: limit, continuation: continuation)
        s.nextDeadline = min(s.nextDeadline ?? limit, limit)
        if s.outbox.isEmpty { s.outbox = message } else { s.outbox += message }
        defer { s.isWoken = true }
        return (true, !s.isWoken)
      }
      if wakes { wake() }
      if !isOpen { continuation.resume(returning: .notSent("the line has ended")) }
    }
  }

  /// What is to leave now; empty when nothing is.
  func takeOutbox() -> [UInt8] {
    state.with { s in
      s.isWoken = false
      defer { s.outbox = [] }
      return s.outbox
    }
  }

  /// One whose time was over has been answered already.
  func answer(_ id: UInt32, _ reply: AccountResponse) {
    state.with { $0.waiting.removeValue(forKey: id) }?.continuation.resume(returning: .reply(reply))
  }

  /// Requests whose time is over are answered; their replies are dropped when they come.
  func expire(_ now: ContinuousClock.Instant) {
    let over = state.with { s -> [Waiting] in
      guard let next = s.nextDeadline, next <= now else { return [] }
      let over = s.waiting.filter { $0.value.deadline <= now }
      for id in over.keys { s.waiting[id] = nil }
      s.nextDeadline = s.waiting.values.map(\.deadline).min()
      return Array(over.values)
    }
    for request in over { request.continuation.resume(returning: .lost("the node did not answer in time")) }
  }
}
