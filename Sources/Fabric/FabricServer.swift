// A link that a peer called, the questions that it is asking, and what all links of one peer may cost.

import Formats
import OpenSSL
import UVLoop

/// Lives on the endpoint's loop.
final class FabricServer {
  enum Phase { case handshake, member, join }

  struct Question {
    let opening: FabricOpening
    var bytes: [UInt8] = []
    /// Of question and answer, counted against the peer until the question is gone.
    var held = 0
    var outbox: FabricOutbox?
    var task: Task<Void, Never>?
  }

  let link: FabricLink
  let number: Int
  /// Where it comes from; see `AcceptRates`.
  let source: [UInt8]
  var phase = Phase.handshake
  var questions: [StreamID: Question] = [:]
  var channels: [StreamID: FabricChannelState] = [:]
  /// All links of its peer; nil before the handshake and for one that joins.
  var ledger: FabricLedger?
  /// It has asked the one question of a joiner.
  var hasAsked = false
  /// Ends a link to join that takes too long.
  var alarm: UVTimer?

  init(_ link: FabricLink, number: Int, source: [UInt8]) {
    self.link = link
    self.number = number
    self.source = source
  }

  /// Forgets a question and gives its bytes back.
  @discardableResult
  func drop(_ id: StreamID) -> Question? {
    guard let question = questions.removeValue(forKey: id) else { return nil }
    ledger?.heldBytes -= question.held
    return question
  }
}

/// What one peer has here, over all of its links.
final class FabricLedger {
  /// By their numbers.
  var servers: [Int: FabricServer] = [:]
  /// Bytes of questions and answers under way, and a window for each channel.
  var heldBytes = 0
  var questions: TokenBucket
  var bulk: TokenBucket?

  init(questions: TokenBucket) { self.questions = questions }

  /// With what waits on its links to be sent: a peer that reads nothing leaves it there.
  var costBytes: Int { servers.values.reduce(heldBytes) { $0 + $1.link.machine.waitingBytes } }

  func isWorthKeeping(at now: FabricInstant) -> Bool {
    !servers.isEmpty || heldBytes > 0 || !questions.isFull(at: now) || bulk?.isFull(at: now) == false
  }
}
