// What this side sends: streams, credit, and who goes first.

import Formats

extension FabricMachine {
  mutating func open(
    _ opening: FabricOpening, _ data: [UInt8], _ ends: Bool, at now: FabricInstant, _ effects: inout [FabricEffect]
  ) {
    let id = nextStream
    // A refused number is spent as well, so that whoever opens can count along.
    nextStream = id < StreamID.max - 2 ? id + 2 : id
    guard phase == .open, ownStreams < limits.ownStreamsMax, openings.count < limits.ownStreamsMax,
      data.count <= limits.sendBufferBytesMax,
      id <= StreamID.max - 2
    else { return effects.append(.refused(id)) }
    ownStreams += 1
    var stream = FabricStream(
      opening: opening, isOwn: true, opens: true, credit: peerWindow, allowance: Int(limits.window),
      window: Int(limits.window))
    stream.buffer = data
    stream.ends = ends
    add(stream, id, at: now)
    openings.append(id)
  }

  mutating func add(_ stream: FabricStream, _ id: StreamID, at now: FabricInstant) {
    var stream = stream
    if stream.opening.deadlineMilliseconds > 0 {
      let deadline = now + Int64(stream.opening.deadlineMilliseconds) * 1_000_000
      stream.deadline = deadline
      earliestDeadline = min(earliestDeadline, deadline)
    }
    streams[id] = stream
  }

  mutating func send(_ id: StreamID, _ data: [UInt8], _ ends: Bool, _ effects: inout [FabricEffect]) {
    guard let stream = streams[id], !stream.ends, stream.waiting + data.count <= limits.sendBufferBytesMax else {
      streams[id]?.wantsRoom = true
      return effects.append(.refused(id))
    }
    streams[id]!.buffer.append(contentsOf: data)
    streams[id]!.ends = ends
    queue(id)
  }

  /// Says `sendable` when half of the buffer is free, at once if it is.
  mutating func wantRoom(_ id: StreamID, _ effects: inout [FabricEffect]) {
    guard let stream = streams[id], !stream.ends else { return }
    streams[id]!.wantsRoom = stream.waiting > limits.sendBufferBytesMax / 2
    if !streams[id]!.wantsRoom { effects.append(.sendable(id)) }
  }

  /// How much a `send` may bring now.
  package func sendRoom(of id: StreamID) -> Int {
    guard let stream = streams[id], !stream.ends else { return 0 }
    return limits.sendBufferBytesMax - stream.waiting
  }

  /// Credit goes back in portions of half a window, so that it costs one frame for many.
  mutating func consume(_ id: StreamID, _ count: Int) {
    guard var stream = streams[id], !stream.peerEnded, count > 0 else { return }
    stream.consumed += count
    precondition(stream.allowance + stream.consumed <= stream.window, "more was consumed than received")
    if stream.consumed >= stream.window / 2 {
      control.append(.credit(stream: id, bytes: UInt32(stream.consumed)))
      stream.allowance += stream.consumed
      stream.consumed = 0
    }
    streams[id] = stream
  }

  /// Lets the peer send more ahead than the connection's window, which suits a round trip of few milliseconds.
  mutating func widen(_ id: StreamID, to window: Int) {
    guard let stream = streams[id], window > stream.window, window <= Int(FabricFrame.windowBytes.upperBound) else {
      return
    }
    let more = window - stream.window
    streams[id]!.window = window
    streams[id]!.allowance += more
    // Before the opening the peer knows no such stream.
    if !stream.opens { control.append(.credit(stream: id, bytes: UInt32(more))) }
  }

  /// Nothing of the stream follows in either direction; the peer is told if it knows of the stream.
  mutating func cancel(_ id: StreamID, _ reason: FabricReset) {
    guard let stream = streams[id] else { return }
    if !stream.opens { control.append(.reset(stream: id, reason: reason.rawValue)) }
    remove(id)
  }

  mutating func remove(_ id: StreamID) {
    if let stream = streams.removeValue(forKey: id), stream.isOwn { ownStreams -= 1 }
  }

  mutating func queue(_ id: StreamID) {
    guard let stream = streams[id], stream.hasWork, !stream.isQueued else { return }
    streams[id]!.isQueued = true
    let priority = Int(stream.opening.priority.rawValue)
    queues[priority].append(id)
    // Cancelled streams leave their places behind until their turn; a peer that reads nothing must not collect them.
    if queues[priority].count > 2 * streams.count + 64 { queues[priority].removeAll { streams[$0] == nil } }
  }

  /// Sends as long as the transport has room: control first, then the streams by priority, in turns.
  mutating func pump(_ effects: inout [FabricEffect]) {
    if control.count > limits.controlFramesMax { return close(.flood, &effects) }
    var bytes: [UInt8] = []
    var taken = 0
    while bytes.count < room, taken < control.count {
      bytes += control[taken].encode()
      taken += 1
    }
    control.removeFirst(taken)
    var finished: [FabricEffect] = []
    if phase == .open {
      while bytes.count < room, !openings.isEmpty { open(&bytes) }
      for priority in queues.indices {
        while bytes.count < room, !queues[priority].isEmpty { step(priority, &bytes, &finished) }
      }
    }
    room -= min(room, bytes.count)
    if !bytes.isEmpty { effects.append(.transmit(bytes)) }
    effects += finished
  }

  private mutating func open(_ bytes: inout [UInt8]) {
    let id = openings.removeFirst()
    guard let stream = streams[id] else { return }
    let isFree = openings.isEmpty && queues[..<Int(stream.opening.priority.rawValue)].allSatisfy(\.isEmpty)
    bytes += streams[id]!.open(id, carrying: isFree, limit: limits.frameBytes).encode()
    let more = stream.window - Int(limits.window)
    if more > 0 { bytes += FabricFrame.credit(stream: id, bytes: UInt32(more)).encode() }
    queue(id)
  }

  private mutating func step(_ priority: Int, _ bytes: inout [UInt8], _ effects: inout [FabricEffect]) {
    let id = queues[priority].removeFirst()
    // A cancelled stream leaves its place in the queue behind.
    guard streams[id] != nil else { return }
    streams[id]!.isQueued = false
    guard streams[id]!.put(id, limit: limits.frameBytes, to: &bytes) else { return }
    if streams[id]!.wantsRoom { wantRoom(id, &effects) }
    if streams[id]!.isFinished { remove(id) } else { queue(id) }
  }
}
