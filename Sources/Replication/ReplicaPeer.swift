// What a primary knows of one replica, and how it speaks to it at the moment.

import Base
import Formats

struct ReplicaPeer: Sendable {
  enum Phase: Sendable, Equatable {
    /// Records follow each other; answers come when they come.
    case streaming
    /// One message is out, behind this index: its answer says how to go on.
    case probing(behind: LogIndex)
    /// Waits for the log to be read behind this position: the peer named it, or else it was sent everything before.
    case reading(behind: Position, isClaim: Bool)
    /// Was told that it needs a base.
    case rebasing
    /// Its committed records contradict this log: alarm was given, nothing is sent.
    case contradicting
  }

  let node: NodeID
  var isUp = false
  var phase = Phase.streaming
  /// Acknowledged in this lead.
  var match = Position.start
  /// The last record that was sent, or that the peer is assumed to have.
  var next = Position.start
  /// Ends and sizes of messages that are out.
  private var messages: [(end: LogIndex, bytes: Int)] = []
  private(set) var inFlightBytes = 0
  /// Since when an answer is due.
  var waitingSince: Instant?
  var attempts = 0
  /// It said last that it does not follow this epoch.
  var refusesEpoch = false
  var toldCommit: LogIndex = 0
  /// Its own clock, as it said last.
  var echo: UInt64 = 0
  var wantsEcho = false
  /// What it said last to have committed, and what it had said when it was told to take a base.
  var claimed: Position?
  var baseless: Position?
  /// Where to go on when what is read does not fit behind its end.
  var fallback: Position?

  init(node: NodeID) { self.node = node }

  /// Nothing is known of what it has: a lead begins, or its stream is new.
  mutating func forget(next: Position) {
    self.next = next
    phase = .streaming
    attempts = 0
    refusesEpoch = false
    toldCommit = 0
    waitingSince = nil
    (claimed, baseless, fallback) = (nil, nil, nil)
    clearFlight()
  }

  mutating func clearFlight() {
    messages = []
    inFlightBytes = 0
  }

  mutating func sent(to end: LogIndex, bytes: Int) {
    messages.append((end, bytes))
    inFlightBytes += bytes
  }

  /// What was acknowledged is not out any more, and need not be sent.
  mutating func landed() {
    if next.index < match.index { next = match }
    let done = messages.prefix { $0.end <= match.index }
    inFlightBytes -= done.reduce(0) { $0 + $1.bytes }
    messages.removeFirst(done.count)
  }
}
