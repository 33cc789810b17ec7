// How far the log is durable, and how far it is committed. What a write set has synced is committed, from the epoch's own
// first record on; only whole transactions are published, and only what is durable here too, so that nothing which
// readers saw can be missing after a restart.

import Base
import Formats

extension ReplicaMachine {
  mutating func synced(_ position: Position, _ now: Instant) {
    guard log.sync(position) else { return }
    tellSynced()
    if lead == nil {
      publishTold(now)
      acknowledge(now)
    }
  }

  mutating func failed(_ end: Position) {
    if let epoch = lead?.epoch {
      // Whoever failed a write never goes on in its epoch.
      stop(epoch)
      endedLead = nil
      effects.append(.localWriteFailed)
    }
    guard log.fail(at: end) else {
      return damage("the disk's log ends at \(end), which is not behind \(log.synced) in this one")
    }
    if let matched = follow?.matched { follow?.matched = min(matched, end.index) }
  }

  /// As primary.
  mutating func advanceCommit(_ now: Instant) {
    guard let lead, let record, record.epoch == lead.epoch, let first = lead.first else { return }
    var copies = peers.map { ($0.node, $0.match.index) }
    if follow?.mayAcknowledge == true { copies.append((node, log.synced.index)) }
    guard copies.contains(where: { min($0.1, log.synced.index) > log.committed.index }) else { return }
    var held: LogIndex?
    for copy in copies {
      let index = min(copy.1, log.synced.index)
      guard index > max(log.committed.index, held ?? 0) else { continue }
      let isHeld = record.isWriteSet { node in copies.contains { $0.0 == node && $0.1 >= index } }
      if isHeld { held = index }
    }
    guard let held, held >= first || configuration.plantedBugs.contains(.commitOlderEpoch) else { return }
    let isWhole = !configuration.plantedBugs.contains(.publishParts)
    guard let position = isWhole ? log.groupEnd(upTo: held) : log.last(upTo: held) else { return }
    publish(position)
    if commitTellAt == nil { commitTellAt = now + configuration.commitDelay }
    guard !lead.hasCommitted, position.index >= first else { return }
    self.lead?.hasCommitted = true
    effects.append(.committed(lead.epoch))
  }

  /// As standby: what the primary told, as far as it agrees and is durable here.
  mutating func publishTold(_ now: Instant) {
    guard let follow, let matched = follow.matched else { return }
    let index = min(follow.told, matched, log.synced.index, log.base.index)
    let isWhole = !configuration.plantedBugs.contains(.publishParts)
    if let position = isWhole ? log.groupEnd(upTo: index) : log.last(upTo: index) { publish(position) }
    freshen(now)
  }

  private mutating func publish(_ position: Position) {
    log.commit(position)
    if lead == nil { log.window.drop(upTo: position.index) }
    effects.append(.publish(position))
  }

  /// The primary tells how far it is committed, and vouches for what was acknowledged before this node's own time.
  mutating func hear(_ append: ReplicationMessage.Append, _ now: Instant) {
    let told = follow?.told ?? 0
    follow?.told = max(told, append.commit)
    guard append.echo > 0, let startedAt, let time = Int64(exactly: append.echo),
      time >= startedAt.nanoseconds, time <= now.nanoseconds
    else { return }
    let isByReceipt = configuration.plantedBugs.contains(.freshByReceipt)
    let echo = (commit: append.commit, time: isByReceipt ? UInt64(now.nanoseconds) : append.echo)
    // Behind a disk that lags the newest is of no use before the oldest.
    if (follow?.echoes.count ?? 0) < 32 { follow?.echoes.append(echo) }
    freshen(now)
  }

  private mutating func freshen(_ now: Instant) {
    while let echo = follow?.echoes.first, echo.commit <= log.committed.index {
      follow?.echoes.removeFirst()
      let asOf = Instant(nanoseconds: Int64(echo.time))
      if asOf > freshness?.asOf ?? Instant(nanoseconds: .min) {
        freshness = ReplicaFreshness(asOf: asOf, index: echo.commit)
      }
    }
  }

  mutating func refresh(_ now: Instant) {
    guard lead == nil else { return }
    acknowledge(now, asks: true)
  }

  /// A commit point that found no record to ride on within its delay.
  mutating func tellCommit(_ now: Instant) {
    guard let at = commitTellAt, now >= at else { return }
    commitTellAt = nil
    for i in peers.indices where peers[i].isUp && peers[i].phase == .streaming {
      if peers[i].toldCommit < log.committed.index { send(i, [], now) }
    }
  }

  mutating func finishEpoch() {
    guard let lead, let successor = lead.successor, lead.hasCommitted, log.committed == log.end,
      peers.first(where: { $0.node == successor })?.match == log.end
    else { return }
    self.lead?.successor = nil
    effects.append(.epochFinished(lead.epoch))
  }

  /// Ownership hears who has what.
  mutating func tell(_ now: Instant) {
    guard let at = placesTellAt, now >= at else { return }
    placesTellAt = nil
    let places = acknowledgedPlaces()
    if !places.isEmpty { effects.append(.acknowledged(places)) }
  }
}
