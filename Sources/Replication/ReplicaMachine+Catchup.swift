// As primary: how a replica whose log does not fit is brought on. It says where its log ends and what it knows to be
// committed; the greatest of the two that is also a place of this log is where it goes on, without searching. What
// memory no longer has is read from the log; what the log no longer has comes with a base.

import Base
import Formats

extension ReplicaMachine {
  mutating func receive(_ refusal: ReplicationMessage.Refusal, from sender: NodeID, _ now: Instant) {
    guard let lead else { return counters.lateDrops += 1 }
    guard let i = peers.firstIndex(where: { $0.node == sender }) else { return counters.strangerDrops += 1 }
    counters.refusals += 1
    guard refusal.why == .mismatch, refusal.epoch == lead.epoch else {
      // Another epoch, or damaged: asked again later, ownership decides what becomes of it.
      if refusal.epoch > lead.epoch { counters.staleEpochDrops += 1 }
      peers[i].refusesEpoch = refusal.why == .epoch
      if peers[i].phase == .streaming {
        peers[i].phase = .probing(behind: peers[i].next.index)
        peers[i].clearFlight()
        peers[i].waitingSince = now
      }
      return
    }
    switch peers[i].phase {
    case .streaming: break
    case .probing(let behind): guard refusal.previous == behind else { return counters.lateDrops += 1 }
    case .rebasing:
      guard refusal.committed != peers[i].baseless else {
        peers[i].waitingSince = now
        return
      }
    case .reading, .contradicting: return counters.lateDrops += 1
    }
    peers[i].baseless = nil
    peers[i].claimed = refusal.committed
    peers[i].attempts = 0
    peers[i].refusesEpoch = false
    peers[i].clearFlight()
    // It may have crashed: what it acknowledged is on its disk all the same, and its log goes on there.
    goOn(i, behind: refusal.end, else: refusal.committed, now)
  }

  /// `first` when it is a place of this log, else `second`.
  private mutating func goOn(_ i: Int, behind first: Position, else second: Position, _ now: Instant) {
    for position in [first, second] where position.index <= log.end.index {
      if position == .start || log.known(at: position.index) == position {
        peers[i].next = position
        return sendProbe(i, now)
      }
      if log.known(at: position.index) == nil, position.index > 0 {
        return read(i, behind: position, else: second, isClaim: true)
      }
    }
    contradicts(i, second)
  }

  private mutating func contradicts(_ i: Int, _ position: Position) {
    peers[i].phase = .contradicting
    peers[i].waitingSince = nil
    effects.append(.damaged("\(peers[i].node.shortName) has \(position) committed, which is not in this log"))
  }

  /// The first records behind `next`, and then nothing until they are answered: refusals of what was sent before may
  /// still come.
  private mutating func sendProbe(_ i: Int, _ now: Instant) {
    let records = log.window.records(from: peers[i].next.index + 1, bytesMax: configuration.messageBytesMax)
    if records.isEmpty, peers[i].next.index < log.end.index { return read(i, behind: peers[i].next, isClaim: true) }
    send(i, behind: peers[i].next, probing: records, now)
  }

  private mutating func send(_ i: Int, behind position: Position, probing records: [SealedRecord], _ now: Instant) {
    peers[i].next = position
    peers[i].phase = .probing(behind: position.index)
    peers[i].waitingSince = nil
    counters.probes += 1
    send(i, records, asks: true, now)
  }

  mutating func read(_ i: Int, behind position: Position, else second: Position? = nil, isClaim: Bool) {
    counters.reads += 1
    peers[i].phase = .reading(behind: position, isClaim: isClaim)
    peers[i].fallback = second
    effects.append(
      .read(for: peers[i].node, from: position.index + 1, bytesMax: configuration.readBytesMax))
  }

  mutating func wasRead(for node: NodeID, from: LogIndex, _ records: [SealedRecord]?, _ now: Instant) {
    guard lead != nil, let i = peers.firstIndex(where: { $0.node == node }),
      case .reading(let position, let isClaim) = peers[i].phase, position.index + 1 == from
    else { return counters.lateDrops += 1 }
    guard let records, let first = records.first else { return rebase(i, behind: position, now) }
    guard first.header.index == from, first.header.previous == position.checksum else {
      // The log below has another record where the peer's ends.
      if let second = peers[i].fallback, second != position, second.index < position.index || second == .start {
        return goOn(i, behind: second, else: second, now)
      }
      return contradicts(i, position)
    }
    guard position.index >= peers[i].match.index else {
      // Acknowledged meanwhile.
      peers[i].phase = .streaming
      return
    }
    if isClaim { return send(i, behind: position, probing: records, now) }
    peers[i].phase = .streaming
    send(i, records, now)
  }

  private mutating func rebase(_ i: Int, behind position: Position, _ now: Instant) {
    guard let lead else { return }
    counters.rebases += 1
    peers[i].phase = .rebasing
    peers[i].baseless = peers[i].claimed
    peers[i].waitingSince = now
    let base = ReplicationMessage.Base(account: account, epoch: lead.epoch, from: position.index + 1)
    effects.append(.send(.base(base), to: peers[i].node))
    effects.append(.rebase(for: peers[i].node))
  }
}
