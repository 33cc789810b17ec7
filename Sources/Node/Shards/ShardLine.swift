// One line to one node: a channel that is opened when it is wanted, and what is on its way over it.
//
// It lives on the loop, inside `ShardLinks`. What was given to a line that ends is lost, as on a wire that is cut.

import Base
import Fabric
import Formats

/// Where a line finds what it sends next.
protocol ShardLineSource {
  /// Framed messages, about as many bytes as wanted; nil when nothing waits.
  mutating func batch(_ bytesWanted: Int) -> [UInt8]?
  mutating func clear()
}

extension ShardOutbox: ShardLineSource {}

/// Messages in the order of their coming.
struct BeatOutbox: ShardLineSource {
  private(set) var waiting: [UInt8] = []

  mutating func push(_ message: [UInt8]) { MessageFrames.append(message, to: &waiting) }

  mutating func batch(_ bytesWanted: Int) -> [UInt8]? {
    guard !waiting.isEmpty else { return nil }
    defer { waiting = [] }
    return waiting
  }

  mutating func clear() { waiting = [] }
}

final class ShardLine<Source: ShardLineSource> {
  enum Phase {
    case closed
    case opening
    case open(FabricChannel)
  }

  static var batchBytes: Int { 64 << 10 }

  let node: NodeID
  let method: FabricMethod
  let priority: FabricPriority
  var phase = Phase.closed
  /// Counts openings, so that an end that comes late is known for what it is.
  var opening = 0
  var source: Source
  private var batch: [UInt8] = []
  private var given = 0
  private var isPumping = false

  init(_ node: NodeID, _ method: FabricMethod, _ priority: FabricPriority, _ source: Source) {
    (self.node, self.method, self.priority, self.source) = (node, method, priority, source)
  }

  var channel: FabricChannel? { if case .open(let channel) = phase { channel } else { nil } }

  /// Gives the link what it takes; it asks again when it has room.
  func pump(_ endpoint: FabricEndpoint) {
    guard !isPumping, let channel else { return }
    isPumping = true
    defer { isPumping = false }
    while true {
      if given == batch.count {
        guard let next = source.batch(Self.batchBytes) else {
          batch = []
          given = 0
          return
        }
        (batch, given) = (next, 0)
      }
      let (bytes, start) = (batch, given)
      let taken = endpoint.assumeIsolated { $0.give(bytes, from: start, over: channel) }
      guard taken > 0 else { return }
      given += taken
    }
  }

  func close() {
    phase = .closed
    batch = []
    given = 0
    source.clear()
  }
}
