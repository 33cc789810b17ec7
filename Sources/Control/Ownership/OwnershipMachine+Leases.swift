// Leases, one beat and one lease for each pair of nodes. The holder counts from its sending, the granter from its
// receipt plus the drift bound. A lease covers those shards whose claim the granter has taken in this life of it, and
// ends for one of them when the granter adopts a newer epoch: it waits out what it granted, and says so in every reply
// until the holder has confirmed it.

import Base
import Formats

extension OwnershipMachine {
  mutating func beat(_ now: Instant) {
    for i in shards.indices {
      advance(i, now)
      if let record = shards[i].record, record.primary == nil, shards[i].vote == .settled(record.epoch) {
        report(i, record, now)
      }
    }
    nextBeat = now + configuration.beatPeriod
    guard !isStalled else { return }
    var beats = [OwnershipMessage.Beat?](repeating: nil, count: peers.count)
    collectClaims(&beats)
    collectPlaces(&beats)
    for p in peers.indices {
      if !peers[p].toConfirm.isEmpty {
        let count = min(peers[p].toConfirm.count, configuration.entriesPerMessage)
        var beat = beats[p] ?? OwnershipMessage.Beat(life: life, sequence: 0)
        beat.confirmed = Array(peers[p].toConfirm.prefix(count))
        peers[p].toConfirm.removeFirst(count)
        beats[p] = beat
      }
      guard var beat = beats[p] else { continue }
      beat.sequence = peers[p].nextSequence(at: now)
      counters.beats += 1
      effects.append(.send(.beat(beat), to: peers[p].node))
    }
  }

  private mutating func collectClaims(_ beats: inout [OwnershipMessage.Beat?]) {
    for shard in shards {
      guard let record = shard.record else { continue }
      let leads = shard.lead.epoch == record.epoch
      guard leads || record.primary == node else { continue }
      for voter in record.electors where voter != node {
        let p = peerPlace(of: voter)
        if p >= beats.count { beats.append(nil) }
        var beat = beats[p] ?? OwnershipMessage.Beat(life: life, sequence: 0)
        let claim = OwnershipClaim(account: shard.account, epoch: record.epoch)
        if leads {
          if peers[p].accepted[shard.account] != record.epoch, beat.claims.count < configuration.entriesPerMessage {
            beat.claims.append(claim)
          }
        } else if shard.vote == .settled(record.epoch), shard.request == nil,
          beat.released.count < configuration.entriesPerMessage
        {
          beat.released.append(claim)
        }
        beats[p] = beat
      }
    }
  }

  /// A few shards in turn, so that all voters learn sooner or later what each of them acknowledged.
  private mutating func collectPlaces(_ beats: inout [OwnershipMessage.Beat?]) {
    var left = min(configuration.placesPerMessage, shards.count)
    while left > 0 {
      left -= 1
      placeCursor = (placeCursor + 1) % shards.count
      let shard = shards[placeCursor]
      guard let epoch = shard.lead.epoch, let record = shard.record, record.epoch == epoch else { continue }
      let places = record.electors.compactMap { node in
        shard.acknowledged[node].map { ReplicaPlace(account: shard.account, node: node, place: $0) }
      }
      for voter in record.electors {
        guard voter != node, let p = peerPlaces[voter], var beat = beats[p],
          beat.places.count + places.count <= configuration.placesPerMessage
        else { continue }
        beat.places += places
        beats[p] = beat
      }
    }
  }

  mutating func receive(_ message: OwnershipMessage, from sender: NodeID, _ now: Instant) {
    guard sender != node else { return }
    switch message {
    case .beat(let beat): receive(beat, from: peerPlace(of: sender), now)
    case .reply(let reply): receive(reply, from: peerPlace(of: sender), now)
    case .reports(let reports): for report in reports { receive(report, from: sender, now) }
    }
  }

  /// False when the message comes from a process that is gone.
  private mutating func isCurrent(_ life: UInt64, _ p: Int) -> Bool {
    if life < peers[p].life {
      counters.oldLifeDrops += 1
      return false
    }
    guard life > peers[p].life else { return true }
    for i in shards.indices where shards[i].grants.removeValue(forKey: peers[p].node) != nil {
      shards[i].grantEnd = max(shards[i].grantEnd, peers[p].grantUntil)
    }
    peers[p].restarted(life)
    return true
  }

  private mutating func receive(_ beat: OwnershipMessage.Beat, from p: Int, _ now: Instant) {
    guard isCurrent(beat.life, p) else { return }
    peers[p].beatAt = now
    peers[p].suspectAt = nil
    for claim in beat.confirmed { peers[p].confirm(claim) }
    for place in beat.places {
      guard let i = shardPlaces[place.account] else { continue }
      noteAcknowledged(i, place.node, place.place)
    }
    for claim in beat.released { release(claim, from: p, now) }
    var reply = OwnershipMessage.Reply(
      life: life, holderLife: beat.life, sequence: beat.sequence, isGranted: false)
    let ended = peers[p].ended
    let isWaiting = now < bindingUntil
    if !isWaiting { for claim in beat.claims where take(claim, from: p, now) { reply.accepted.append(claim) } }
    reply.ended = Array(peers[p].ended.prefix(configuration.entriesPerMessage))
    reply.isGranted = !isWaiting && !isStalled && reply.ended.count == peers[p].ended.count
    if reply.isGranted { peers[p].grantUntil = max(peers[p].grantUntil, now + configuration.grantLength) }
    if configuration.plantedBugs.contains(.tellEndedOnce), !ended.isEmpty { peers[p].ended = [] }
    effects.append(.send(.reply(reply), to: peers[p].node))
  }

  private mutating func take(_ claim: OwnershipClaim, from p: Int, _ now: Instant) -> Bool {
    guard let i = shardPlaces[claim.account], let record = shards[i].record else { return false }
    let holder = peers[p].node
    if claim.epoch < shards[i].vote.epoch {
      peers[p].end(OwnershipClaim(account: claim.account, epoch: shards[i].vote.epoch))
      return false
    }
    if claim.epoch > record.epoch {
      hearEpoch(i, claim.epoch, now)
    } else if record.primary == nil {
      // Named, it seems; the watch is late.
      readAgain(i, now)
    }
    guard shards[i].vote == .settled(claim.epoch), record.epoch == claim.epoch, record.primary == holder,
      record.counts(node), !shards[i].isDamaged
    else { return false }
    shards[i].grants[holder] = claim.epoch
    shards[i].attempts = 0
    shards[i].isReleased = false
    peers[p].confirm(claim)
    return true
  }

  /// The holder says itself that it does not lead, and never again in this epoch: nothing to wait for.
  private mutating func release(_ claim: OwnershipClaim, from p: Int, _ now: Instant) {
    guard let i = shardPlaces[claim.account], let record = shards[i].record, record.epoch == claim.epoch,
      record.primary == peers[p].node
    else { return }
    shards[i].isReleased = true
    shards[i].grants[peers[p].node] = nil
    advance(i, now)
  }

  private mutating func receive(_ reply: OwnershipMessage.Reply, from p: Int, _ now: Instant) {
    guard isCurrent(reply.life, p), reply.holderLife == life else { return }
    guard let sentAt = peers[p].sentAt(reply.sequence) else { return }
    for claim in reply.ended {
      guard let i = shardPlaces[claim.account] else { continue }
      hearEpoch(i, claim.epoch, now)
      if let accepted = peers[p].accepted[claim.account], accepted < claim.epoch {
        peers[p].accepted[claim.account] = nil
      }
      peers[p].toConfirm.removeAll { $0.account == claim.account }
      peers[p].toConfirm.append(claim)
    }
    for claim in reply.accepted {
      guard let i = shardPlaces[claim.account], shards[i].lead.epoch == claim.epoch else { continue }
      peers[p].accepted[claim.account] = claim.epoch
    }
    guard reply.isGranted else { return }
    let from = configuration.plantedBugs.contains(.leaseFromReceipt) ? now : sentAt
    peers[p].leaseUntil = max(peers[p].leaseUntil, from + configuration.lease)
  }
}
