// The link to one peer that this side called, and who waits for what on it.

import Base
import Formats
import UVLoop

/// Lives on the endpoint's loop.
final class FabricCaller {
  typealias Waiter = CheckedContinuation<Result<[UInt8], FabricError>, Never>

  /// A question until its answer is whole.
  struct Question {
    let token: UInt64
    var opening: FabricOpening
    var waiter: Waiter
    var outbox: FabricOutbox
    /// It waits for a standing link that is down, instead of failing.
    var waits = false
    var answer: [UInt8] = []
  }

  let id: NodeID
  let address: SocketAddress
  let link: FabricLink
  /// Asked before the link was ready.
  var early: [Question] = []
  var arrivals: [CheckedContinuation<Result<Void, FabricError>, Never>] = []
  var questions: [StreamID: Question] = [:]
  var streams: [UInt64: StreamID] = [:]
  var channels: [StreamID: FabricChannelState] = [:]
  var isReady = false
  /// When it became ready, and when it was last of use.
  var since: FabricInstant = 0
  var lastUse: FabricInstant

  init(_ id: NodeID, _ address: SocketAddress, _ link: FabricLink) {
    (self.id, self.address, self.link) = (id, address, link)
    lastUse = FabricLink.now()
  }

  /// Nothing is under way on it, or waits for it.
  var isDrained: Bool {
    early.isEmpty && arrivals.isEmpty && questions.isEmpty && channels.isEmpty && link.machine.streamCount == 0
  }
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
