// What `ClientCore` knows of its channel to one node. It lives on the core's loop.

import Fabric

final class ClientLine {
  enum Phase {
    case opening
    case open(FabricChannel)
    case over(ClientFailure)
  }

  struct Waiting {
    let deadline: ContinuousClock.Instant
    let continuation: CheckedContinuation<ClientCore.Outcome, Never>
  }

  var phase = Phase.opening
  /// Those who wait for it to open.
  var arrivals: [CheckedContinuation<ClientFailure?, Never>] = []
  var waiting: [UInt32: Waiting] = [:]
  /// Messages that are to leave; what has been given to the channel is no longer in it.
  var outbox: [UInt8] = []
  var isSending = false
  var nextID: UInt32 = 0
  /// When the next request is over, or earlier.
  var nextDeadline: ContinuousClock.Instant?

  var isOver: Bool { if case .over = phase { true } else { false } }

  /// A number that no waiting request has.
  func drawID() -> UInt32 {
    repeat { nextID &+= 1 } while waiting[nextID] != nil
    return nextID
  }
}
