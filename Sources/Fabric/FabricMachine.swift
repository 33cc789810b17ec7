// Many streams over one connection, as a pure machine: `handle` takes one event and an instant and returns effects in
// the order in which they are to be done. It never throws; what a peer does wrong closes the connection by name.
//
// Three rules. Control frames go before all data, urgent streams before normal ones before bulk, streams of one priority
// take turns frame by frame; streams are opened in the order of their numbers, but an opening carries data only when it
// holds up nobody. Nothing is sent for which the peer or the transport has not said that there is room. Every length is
// checked before anything is allocated for it.

import Formats

package struct FabricMachine {
  package enum Side: Sendable { case connecting, accepting }
  enum Phase: Equatable { case idle, hello, open, closed }

  package let limits: FabricLimits
  let side: Side
  var phase = Phase.idle
  var streams: [StreamID: FabricStream] = [:]
  var queues: [[StreamID]] = Array(repeating: [], count: FabricPriority.allCases.count)
  var control: [FabricFrame] = []
  /// Own streams that the peer has not heard of, in the order of their numbers.
  var openings: [StreamID] = []
  var pending: [UInt8] = []
  var room = 0
  var ownStreams = 0
  var lastPeerStream: StreamID = 0
  var peerWindow = 0
  var pinged: FabricInstant = 0
  /// Pings since the peer was last heard.
  var pingsMissed = 0
  var helloBy: FabricInstant = 0
  var earliestDeadline = FabricInstant.max
  /// What the next opened stream is called.
  package internal(set) var nextStream: StreamID
  /// Of the last ping, in nanoseconds; nil before the first pong.
  package internal(set) var roundTrip: Int64?

  package init(_ side: Side, limits: FabricLimits = FabricLimits()) {
    precondition(FabricFrame.windowBytes.contains(limits.window), "the window is out of range")
    precondition((64...FabricFrame.payloadBytesMax).contains(limits.frameBytes), "the frame is out of range")
    self.side = side
    self.limits = limits
    nextStream = side == .connecting ? 1 : 2
  }

  package var isOpen: Bool { phase == .open }
  package var streamCount: Int { streams.count }
  /// Bytes that wait to be sent, over all streams.
  package var waitingBytes: Int { streams.values.reduce(0) { $0 + $1.waiting } }

  /// When `tick` is due; nil before the start and after the end.
  package var nextTick: FabricInstant? {
    switch phase {
    case .idle, .closed: nil
    case .hello: helloBy
    case .open: min(earliestDeadline, pinged + limits.pingInterval)
    }
  }

  package mutating func handle(_ event: FabricEvent, at now: FabricInstant) -> [FabricEffect] {
    guard phase != .closed else { return [] }
    var effects: [FabricEffect] = []
    switch event {
    case .started: start(at: now)
    case .received(let bytes): receive(bytes, at: now, &effects)
    case .room(let bytes): room = max(bytes, 0)
    case .open(let opening, let data, let ends): open(opening, data, ends, at: now, &effects)
    case .send(let id, let data, let ends): send(id, data, ends, &effects)
    case .wantRoom(let id): wantRoom(id, &effects)
    case .consumed(let id, let count): consume(id, count)
    case .cancel(let id): cancel(id, .givenUp)
    case .refuse(let id): cancel(id, .refused)
    case .widen(let id, let window): widen(id, to: window)
    case .expire(let id, let nanoseconds): expire(id, at: now.addingReportingOverflow(nanoseconds).partialValue)
    case .tick: tick(at: now, &effects)
    case .close: leave(.stopping, &effects)
    case .leave(let reason): leave(reason, &effects)
    case .transportEnded: close(.transport, &effects)
    }
    if phase != .closed { pump(&effects) }
    return effects
  }

  private mutating func start(at now: FabricInstant) {
    guard phase == .idle else { return }
    phase = .hello
    (pinged, helloBy) = (now, now + limits.helloTimeout)
    control.append(
      .hello(least: limits.versions.lowerBound, greatest: limits.versions.upperBound, window: limits.window))
  }

  private mutating func tick(at now: FabricInstant, _ effects: inout [FabricEffect]) {
    switch phase {
    case .idle, .closed: return
    case .hello: if now >= helloBy { close(.helloTimeout, &effects) }
    case .open:
      if now >= pinged + limits.pingInterval {
        guard pingsMissed < limits.pingsMissedMax else { return close(.silent, &effects) }
        ping(at: now)
      }
      if now >= earliestDeadline { expire(at: now, &effects) }
    }
  }

  mutating func ping(at now: FabricInstant) {
    pinged = now
    pingsMissed += 1
    control.append(.ping(UInt64(bitPattern: now)))
  }

  private mutating func expire(_ id: StreamID, at instant: FabricInstant) {
    guard let stream = streams[id] else { return }
    let deadline = min(stream.deadline ?? .max, instant)
    streams[id]!.deadline = deadline
    earliestDeadline = min(earliestDeadline, deadline)
  }

  private mutating func expire(at now: FabricInstant, _ effects: inout [FabricEffect]) {
    for (id, stream) in streams.sorted(by: { $0.key < $1.key }) {
      guard let deadline = stream.deadline, deadline <= now else { continue }
      cancel(id, .givenUp)
      effects.append(.ended(id, .deadline))
    }
    earliestDeadline = streams.values.compactMap(\.deadline).min() ?? .max
  }

  private mutating func leave(_ reason: FabricGoodbye, _ effects: inout [FabricEffect]) {
    effects.append(.transmit(FabricFrame.goodbye(reason: reason.rawValue).encode()))
    close(.here, &effects)
  }

  mutating func close(_ reason: FabricClosure, _ effects: inout [FabricEffect]) {
    phase = .closed
    for id in streams.keys.sorted() { effects.append(.ended(id, .connectionClosed)) }
    streams = [:]
    control = []
    openings = []
    pending = []
    effects.append(.closed(reason))
  }
}
