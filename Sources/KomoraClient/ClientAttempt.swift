// One request until it is answered: to the node that is believed to lead, after the one that leads, again where that is
// safe.

import Base
import Formats

struct ClientAttempt {
  let core: ClientCore
  var request: AccountRequest
  let deadline: ContinuousClock.Instant
  /// An earlier sending may have been applied.
  private var wasLost = false
  private var pause = Duration.milliseconds(2)

  init(core: ClientCore, request: AccountRequest, deadline: ContinuousClock.Instant) {
    self.core = core
    self.request = request
    self.deadline = deadline
  }

  mutating func run() async throws(KomoraError) -> ([AccountResult], LogPlace) {
    var node: NodeID?
    var last = "no node answered"
    while ContinuousClock.now < deadline {
      request.deadlineMilliseconds = UInt32(clamping: max((deadline - .now).milliseconds, 1))
      switch await core.ask(request, at: node, until: deadline) {
      case .reply(.done(_, let position, let results)): return (results, position)
      case .reply(.failed(_, let failure)):
        if let error = judged(failure) { throw error }
        last = failure.message
      case .reply(.elsewhere(_, let other, let address)):
        guard await core.learn(request.account, other, address) else {
          last = "\(address) is no address"
          break
        }
        // At once the first time; two nodes that point at each other are left some time to agree.
        let isNew = node != other
        node = other
        if isNew { continue }
      case .reply(.welcome): throw KomoraError(.unknown, "the node's reply is out of order")
      case .invalid(let message): throw KomoraError(.invalid, message)
      case .closed: throw KomoraError(wasLost ? .unknown : .closed, "the client was closed")
      case .refused(let message): throw KomoraError(.unauthorized, message)
      case .notSent(let reason):
        node = nil
        last = reason
      case .lost(let reason):
        guard request.isRepeatable else {
          throw KomoraError(.unknown, "\(reason): whether the request was applied is not known")
        }
        wasLost = true
        node = nil
        last = reason
      }
      try? await Task.sleep(for: min(pause, max(deadline - .now, .zero)))
      guard !Task.isCancelled else { break }
      pause = min(pause * 2, .milliseconds(100))
    }
    throw KomoraError(
      wasLost ? .unknown : .unavailable,
      wasLost
        ? "no answer in time (\(last)): whether the request was applied is not known"
        : "no node answered for the account in time (\(last)); nothing was applied")
  }

  /// Nil when the request is to be sent again.
  private func judged(_ failure: AccountFailure) -> KomoraError? {
    if failure.isUnknown {
      // With a key it would be found out by sending it again; its time is over, though.
      return KomoraError(.unknown, failure.message, name: failure.code)
    }
    if failure.isRetryable { return nil }
    switch failure.code {
    case "UNAUTHORIZED": return KomoraError(.unauthorized, failure.message, name: failure.code)
    case "NOT_FOUND": return KomoraError(.notFound, failure.message, name: failure.code)
    default: return KomoraError(.refused, failure.message, name: failure.code)
    }
  }
}
