// As primary: records go to every replica as they are made, within a window of bytes that are out; a replica that does
// not answer is asked what it has.

import Base
import Formats

extension ReplicaMachine {
  mutating func appended(_ records: [SealedRecord]) {
    guard let first = records.first else { return }
    let isNext = first.header.index == log.end.index + 1 && first.header.previous == log.end.checksum
    // A writer that was stopped may have had some on their way: they are in the log all the same.
    guard isNext, log.intake.isEmpty, log.cutting == nil else {
      return damage("the local log has \(first.position) behind \(log.end)")
    }
    log.hand(records)
    guard let epoch = lead?.epoch, lead?.first == nil else { return }
    lead?.first = records.first { $0.header.epoch == epoch }?.header.index
  }

  /// After every event while this node leads.
  mutating func drive(_ now: Instant) {
    advanceCommit(now)
    for i in peers.indices where peers[i].isUp {
      if let due = patienceEnd(peers[i]), now >= due { askAgain(i, now) }
      pump(i, now)
    }
    tellCommit(now)
    finishEpoch()
    trim()
  }

  /// Sends what fits into the peer's window.
  private mutating func pump(_ i: Int, _ now: Instant) {
    while peers[i].phase == .streaming, peers[i].next.index < log.end.index,
      peers[i].inFlightBytes < configuration.inFlightBytesMax
    {
      let records = log.window.records(from: peers[i].next.index + 1, bytesMax: configuration.messageBytesMax)
      guard !records.isEmpty else { return read(i, behind: peers[i].next, isClaim: false) }
      send(i, records, now)
    }
    if peers[i].wantsEcho, peers[i].phase == .streaming { send(i, [], now) }
  }

  mutating func send(_ i: Int, _ records: [SealedRecord], asks: Bool = false, _ now: Instant) {
    guard let lead else { return }
    let vouches = lead.hasCommitted
    let append = ReplicationMessage.Append(
      account: account, epoch: lead.epoch, previous: peers[i].next, records: records, commit: log.committed.index,
      echo: vouches ? peers[i].echo : 0, asks: asks)
    effects.append(.send(.append(append), to: peers[i].node))
    peers[i].toldCommit = log.committed.index
    if vouches { peers[i].wantsEcho = false }
    if let last = records.last {
      peers[i].next = last.position
      peers[i].sent(to: last.position.index, bytes: records.reduce(0) { $0 + $1.frame.count })
      counters.recordsSent += records.count
    }
    if peers[i].waitingSince == nil, asks || !records.isEmpty { peers[i].waitingSince = now }
  }

  /// Until when an answer is waited for.
  func patienceEnd(_ peer: ReplicaPeer) -> Instant? {
    guard peer.isUp, let since = peer.waitingSince else { return nil }
    if case .reading = peer.phase { return nil }
    let first = peer.refusesEpoch ? configuration.retryAfter : configuration.silenceAfter
    return since + min(first * (1 << min(peer.attempts, 10)), configuration.silenceMax)
  }

  private mutating func askAgain(_ i: Int, _ now: Instant) {
    peers[i].attempts += 1
    peers[i].waitingSince = nil
    // Behind everything that was sent: it has that, or it refuses.
    if peers[i].phase == .streaming { ask(i, now) } else { probe(i, now) }
  }

  /// An empty append behind what the peer is known or assumed to have; nothing else until it answers.
  mutating func probe(_ i: Int, _ now: Instant) {
    if peers[i].phase == .contradicting { return }
    if peers[i].match.index > 0 { peers[i].next = peers[i].match }
    peers[i].clearFlight()
    if peers[i].phase != .rebasing { peers[i].phase = .probing(behind: peers[i].next.index) }
    ask(i, now)
  }

  mutating func ask(_ i: Int, _ now: Instant) {
    counters.probes += 1
    send(i, [], asks: true, now)
  }

  mutating func up(_ i: Int, _ now: Instant) {
    peers[i].isUp = true
    guard lead != nil else { return }
    peers[i].forget(next: peers[i].match.index > 0 ? peers[i].match : log.end)
    probe(i, now)
  }

  mutating func down(_ i: Int) {
    peers[i].isUp = false
    peers[i].forget(next: peers[i].next)
  }

  mutating func receive(_ ack: ReplicationMessage.Ack, from sender: NodeID, _ now: Instant) {
    guard let lead else { return counters.lateDrops += 1 }
    guard ack.epoch == lead.epoch else { return counters.staleEpochDrops += 1 }
    guard let i = peers.firstIndex(where: { $0.node == sender }) else { return counters.strangerDrops += 1 }
    guard ack.synced.index <= log.end.index, ack.end <= log.end.index, ack.synced.index <= ack.end,
      log.known(at: ack.synced.index).map({ $0 == ack.synced }) != false
    else { return counters.unfitAckDrops += 1 }
    peers[i].echo = max(peers[i].echo, ack.sentAt)
    if ack.asks { peers[i].wantsEcho = true }
    peers[i].attempts = 0
    peers[i].refusesEpoch = false
    if ack.synced.index > peers[i].match.index {
      peers[i].match = ack.synced
      if placesTellAt == nil { placesTellAt = now + configuration.placesPeriod }
    }
    switch peers[i].phase {
    case .probing, .rebasing, .contradicting:
      // It has so much of this log, durable or not: the rest follows.
      peers[i].next = log.known(at: ack.end) ?? (ack.synced.index > 0 ? ack.synced : peers[i].next)
      peers[i].clearFlight()
      peers[i].phase = .streaming
      peers[i].baseless = nil
    case .streaming, .reading: break
    }
    peers[i].landed()
    peers[i].waitingSince = peers[i].match.index < peers[i].next.index ? now : nil
  }

  /// Ownership hears who has what, so that a voter which reports less one day is known to be damaged.
  func acknowledgedPlaces() -> [NodeID: LogPlace] {
    var places: [NodeID: LogPlace] = [:]
    for peer in peers where peer.match.index > 0 { places[peer.node] = place(peer.match) }
    return places
  }

  /// Memory keeps what connected peers have not got yet, within its limit; the log on the disk has the rest.
  private mutating func trim() {
    var needed = log.committed.index
    for peer in peers where peer.isUp && peer.phase == .streaming { needed = min(needed, peer.match.index) }
    log.window.drop(upTo: min(needed, log.synced.index))
    while log.window.bytes > configuration.memoryBytesMax, let first = log.window.first, first <= log.synced.index {
      log.window.removeFirst()
    }
  }
}
