// What the peer sends: frames cut out of bytes, each checked against what its stream allows.

import Formats

extension FabricMachine {
  mutating func receive(_ bytes: [UInt8], at now: FabricInstant, _ effects: inout [FabricEffect]) {
    guard phase != .idle else { return close(.disorder, &effects) }
    pingsMissed = 0
    var all = bytes[...]
    if !pending.isEmpty {
      pending += bytes
      all = pending[...]
      pending = []
    }
    while phase != .closed {
      do {
        guard let length = try FabricFrame.length(all), all.count >= length else { break }
        let frame = try FabricFrame(decoding: all.prefix(length))
        all = all.dropFirst(length)
        take(frame, at: now, &effects)
      } catch {
        close(.malformed, &effects)
      }
    }
    // Less than one frame: its head was checked, so this stays below 16 KiB and a head.
    if phase != .closed { pending = Array(all) }
  }

  private mutating func take(_ frame: FabricFrame, at now: FabricInstant, _ effects: inout [FabricEffect]) {
    if case .hello(let least, let greatest, let window) = frame {
      return greet(least, greatest, window, at: now, &effects)
    }
    // Whoever does not want us says so before its hello.
    if case .goodbye(let reason) = frame { return close(Self.closure(FabricGoodbye(reason)), &effects) }
    guard phase == .open else { return close(.disorder, &effects) }
    switch frame {
    case .hello, .goodbye: break
    case .open(let id, let opening, let data, let ends): opened(id, opening, data, ends, at: now, &effects)
    case .data(let id, let data, let ends):
      if isKnown(id, &effects) { arrived(id, data, ends, &effects) }
    case .credit(let id, let bytes):
      guard isKnown(id, &effects), streams[id] != nil else { return }
      streams[id]!.credit += Int(bytes)
      guard streams[id]!.credit <= Int(FabricFrame.windowBytes.upperBound) else { return close(.overrun, &effects) }
      queue(id)
    case .reset(let id, let reason):
      guard isKnown(id, &effects), streams[id] != nil else { return }
      remove(id)
      effects.append(.ended(id, FabricReset(reason) == .refused ? .refusedByPeer : .cancelledByPeer))
    case .ping(let word): control.append(.pong(word))
    case .pong(let word):
      // Answers may take longer than the interval; an older one than a dead peer would have is none of ours.
      let sent = Int64(bitPattern: word)
      let age = Int64(limits.pingsMissedMax + 1) * limits.pingInterval
      if sent <= pinged, sent <= now, sent > now - age { roundTrip = now - sent }
    }
  }

  private static func closure(_ reason: FabricGoodbye) -> FabricClosure {
    switch reason {
    case .stopping: .peer
    case .idle: .peerIdle
    case .renewing: .peerRenews
    case .refused: .peerRefuses
    }
  }

  private mutating func greet(
    _ least: UInt16, _ greatest: UInt16, _ window: UInt32, at now: FabricInstant, _ effects: inout [FabricEffect]
  ) {
    guard phase == .hello else { return close(.disorder, &effects) }
    let version = min(greatest, limits.versions.upperBound)
    guard version >= least, limits.versions.contains(version) else { return close(.version, &effects) }
    peerWindow = Int(window)
    phase = .open
    ping(at: now)
    effects.append(.ready(version: version))
  }

  private mutating func opened(
    _ id: StreamID, _ opening: FabricOpening, _ data: [UInt8], _ ends: Bool, at now: FabricInstant,
    _ effects: inout [FabricEffect]
  ) {
    guard isOwn(id) == false, id > lastPeerStream else { return close(.disorder, &effects) }
    guard streams.count - ownStreams < limits.peerStreamsMax else { return close(.flood, &effects) }
    lastPeerStream = id
    let stream = FabricStream(
      opening: opening, isOwn: false, opens: false, credit: peerWindow, allowance: Int(limits.window),
      window: Int(limits.window))
    add(stream, id, at: now)
    effects.append(.accepted(id, opening))
    if !data.isEmpty || ends { arrived(id, data, ends, &effects) }
  }

  private mutating func arrived(_ id: StreamID, _ data: [UInt8], _ ends: Bool, _ effects: inout [FabricEffect]) {
    // A stream that was given up here: what was under way is dropped.
    guard var stream = streams[id] else { return }
    guard !stream.peerEnded else { return close(.disorder, &effects) }
    guard data.count <= stream.allowance else { return close(.overrun, &effects) }
    stream.allowance -= data.count
    stream.peerEnded = ends
    streams[id] = stream
    effects.append(.data(id, data, ends: ends))
    if stream.isFinished { remove(id) }
  }

  func isOwn(_ id: StreamID) -> Bool { (id % 2 == 1) == (side == .connecting) }

  /// A number that was never opened ends the connection.
  private mutating func isKnown(_ id: StreamID, _ effects: inout [FabricEffect]) -> Bool {
    if isOwn(id) ? id < nextStream : id <= lastPeerStream { return true }
    close(.disorder, &effects)
    return false
  }
}
