// One probe under way: the member that is asked, and the helpers that ask it for us.

import Base

struct Probe: Sendable {
  let sequence: UInt32
  let target: NodeID
  let sentAt: Instant
  /// When helpers are asked; nil once they are.
  var askHelpersAt: Instant?
  var end: Instant
  var helpers: [NodeID] = []
  var nacks = 0

  var deadline: Instant { min(askHelpersAt ?? end, end) }

  mutating func postpone(by lost: Interval) {
    askHelpersAt = askHelpersAt.map { $0 + lost }
    end = end + lost
  }
}

/// A ping that we sent for another member.
struct Relay: Sendable {
  /// Ours, and that of the member who asked.
  let sequence: UInt32
  let originalSequence: UInt32
  let origin: NodeID
  let target: NodeID
  var nackAt: Instant
}
