// One channel on the endpoint's loop: what arrived and was not fetched, what is to be sent, and who waits for either.

import Formats

final class FabricChannelState {
  typealias Receiver = CheckedContinuation<Result<[UInt8]?, FabricError>, Never>
  typealias Sender = CheckedContinuation<Result<Void, FabricError>, Never>

  enum Side {
    case caller(FabricCaller)
    case server(FabricServer)
  }

  let side: Side
  let link: FabricLink
  let id: StreamID
  /// Not fetched yet. The peer has no credit for it, so it is at most a window.
  var inbox: [[UInt8]] = []
  var peerEnded = false
  var receiver: Receiver?
  /// Has what arrives, in the place of a receiver.
  var pipe: FabricPipe?
  /// The send under way, and those after it in their order.
  var outbox: [(bytes: FabricOutbox, sender: Sender)] = []
  /// Nothing more is sent after the outbox.
  var isFinished = false
  var endGiven = false
  /// Given up when nobody holds it, though this side has finished: what is fetched is of no use to anybody then.
  var endsWhenDropped = false
  /// Nobody reads any more: what arrives is dropped.
  var isAbandoned = false
  var failure: FabricError?
  /// What serves it, on the serving side, and what its window is counted against.
  var task: Task<Void, Never>?
  var ledger: FabricLedger?
  var held = 0

  init(_ side: Side, _ link: FabricLink, _ id: StreamID) { (self.side, self.link, self.id) = (side, link, id) }

  /// Both halves have ended or the stream broke.
  var isDone: Bool { failure != nil || (peerEnded && endGiven) }
}
