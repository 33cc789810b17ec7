// The link to one peer that this side called, and who waits for what on it.

import Formats

/// Lives on the endpoint's loop.
final class FabricCaller {
  typealias Waiter = CheckedContinuation<Result<[UInt8], FabricError>, Never>

  /// A question until its answer is whole.
  struct Question {
    var opening: FabricOpening
    var waiter: Waiter
    var outbox: FabricOutbox
    var answer: [UInt8] = []
  }

  let link: FabricLink
  /// Asked before the link was ready.
  var early: [(UInt64, Question)] = []
  var questions: [StreamID: Question] = [:]
  var streams: [UInt64: StreamID] = [:]
  var isReady = false

  init(_ link: FabricLink) { self.link = link }
}

/// A message that is longer than a stream's buffer, sent as the stream takes it.
struct FabricOutbox {
  static let pieceBytes = 64 << 10
  let message: [UInt8]
  private(set) var given = 0

  init(_ message: [UInt8]) { self.message = message }

  var isGiven: Bool { given == message.count }

  /// What the opening brings: as much as the stream's buffer holds, so that a rest hears when there is room.
  mutating func first(room: Int) -> (bytes: [UInt8], ends: Bool) {
    given = min(message.count, room)
    return (Array(message[..<given]), isGiven)
  }

  /// The next piece, at most what `room` bytes hold; nil when there is none or no room.
  mutating func next(room: Int) -> (bytes: [UInt8], ends: Bool)? {
    let count = min(message.count - given, Self.pieceBytes)
    guard count > 0, room >= count else { return nil }
    defer { given += count }
    return (Array(message[given..<(given + count)]), given + count == message.count)
  }
}

/// A link that a peer called, and the questions that it is asking.
final class FabricServer {
  struct Question {
    let opening: FabricOpening
    var bytes: [UInt8] = []
    var outbox: FabricOutbox?
    var task: Task<Void, Never>?
  }

  let link: FabricLink
  var questions: [StreamID: Question] = [:]

  init(_ link: FabricLink) { self.link = link }
}
