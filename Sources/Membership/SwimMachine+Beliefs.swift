// What is believed of others and how a word changes it. Beliefs of one member are ordered by (incarnation, gravity); the
// greater wins everywhere, so that all members come to the same view whatever order the words arrive in.

import Base
import Formats

extension SwimMachine {
  /// A word about this member or another, from a datagram.
  mutating func apply(_ update: GossipUpdate, from sender: NodeID, _ now: Instant) {
    guard update.node != node else { return applyOwn(update, now) }
    switch update {
    case .alive(let peer, let incarnation, let profile, let health):
      live(peer, incarnation, profile, health, now)
    case .suspect(let peer, let incarnation, let accuser): suspect(peer, incarnation, by: accuser, now)
    case .dead(let peer, let incarnation, let accuser): bury(peer, incarnation, by: accuser, now)
    case .left(let peer, let incarnation):
      if settle(peer, incarnation, .left, now) { tell(.left(node: peer, incarnation: incarnation), now) }
    case .health(let peer, let incarnation, let health):
      guard members[peer]?.incarnation == incarnation else { return }
      if takeHealth(health, of: peer) { reports.put(update) }
    }
  }

  private mutating func applyOwn(_ update: GossipUpdate, _ now: Instant) {
    switch update {
    // An alive of ours that we never said: an earlier life's, whose incarnations a restored disk forgot.
    case .alive(_, let incarnation, _, _) where incarnation > self.incarnation: refute(incarnation, now)
    case .alive, .health: break
    case .suspect(_, let incarnation, _), .dead(_, let incarnation, _), .left(_, let incarnation):
      refute(incarnation, now)
    }
  }

  mutating func live(
    _ peer: NodeID, _ incarnation: Incarnation, _ profile: GossipProfile, _ health: GossipHealth, _ now: Instant
  ) {
    guard let known = members[peer] else {
      return meet(
        Member(
          node: peer, incarnation: incarnation, standing: .alive, profile: profile, health: health, since: now), now)
    }
    let isBug = configuration.plantedBugs.contains(.resurrectLeft) && known.standing == .left
    guard incarnation > known.incarnation || isBug else {
      if incarnation == known.incarnation, takeHealth(health, of: peer) {
        reports.put(.health(node: peer, incarnation: incarnation, health))
      }
      return
    }
    move(peer, to: incarnation, .alive, now)
    let isMoved = known.profile != profile
    members[peer]?.profile = profile
    members[peer]?.health = health
    if isMoved { members[peer]?.roundTrip = nil }
    if known.standing != .alive || isMoved, let member = members[peer] { effects.append(.notify(.alive(member))) }
    tell(.alive(node: peer, incarnation: incarnation, profile: profile, health: health), now)
  }

  /// One of whom nothing was known.
  mutating func meet(_ member: Member, _ now: Instant) {
    guard members.count < GossipLimits.membersMax - 1 else {
      counters.fullTableDrops += 1
      return
    }
    members[member.node] = member
    setPlace(of: member.node)
    guard member.standing == .alive else { return }
    effects.append(.notify(.alive(member)))
    tell(
      .alive(
        node: member.node, incarnation: member.incarnation, profile: member.profile, health: member.health), now)
  }

  /// Our own probe failed, or a host refused us.
  mutating func accuse(_ peer: NodeID, _ now: Instant) {
    guard let member = members[peer], member.isReachable else { return }
    counters.suspicionsRaised += 1
    let isBug = configuration.plantedBugs.contains(.inventIncarnation)
    suspect(peer, isBug ? member.incarnation + 1 : member.incarnation, by: node, now)
  }

  mutating func suspect(_ peer: NodeID, _ incarnation: Incarnation, by accuser: NodeID, _ now: Instant) {
    guard let known = members[peer] else {
      counters.unknownMemberDrops += 1
      return
    }
    let word = GossipUpdate.suspect(node: peer, incarnation: incarnation, by: accuser)
    if known.standing == .suspect, known.incarnation == incarnation {
      guard let i = suspicions.firstIndex(where: { $0.node == peer }),
        !configuration.plantedBugs.contains(.ignoreConfirmations)
      else { return }
      if suspicions[i].confirm(by: accuser) { tell(word, now) }
      return
    }
    guard known.isOlder(than: incarnation, .suspect) else { return }
    move(peer, to: incarnation, .suspect, now)
    suspicions.append(
      Suspicion(
        node: peer, incarnation: incarnation, by: accuser, at: now, count: count, multiplier: health.multiplier,
        configuration))
    if let member = members[peer] { effects.append(.notify(.suspect(member))) }
    tell(word, now)
    if accuser == node {
      warn(peer, word)
      gossip(now)
    } else if random.below(count) < configuration.confirmingProbes {
      wantProbe(of: peer)
    }
  }

  /// A death that another found. Whoever was cut off while it accused and judged tells it to members that never heard of
  /// a suspicion, when the cut is over: so it ends a suspicion of our own early, but never before the member could object.
  private mutating func bury(_ peer: NodeID, _ incarnation: Incarnation, by accuser: NodeID, _ now: Instant) {
    let isBug = configuration.plantedBugs.contains(.buryUnheard)
    guard let known = members[peer], known.isReachable, known.isOlder(than: incarnation, .dead), !isBug else {
      if settle(peer, incarnation, .dead, now) { tell(.dead(node: peer, incarnation: incarnation, by: accuser), now) }
      return
    }
    if known.isOlder(than: incarnation, .suspect) {
      suspect(peer, incarnation, by: accuser, now)
      warn(peer, .suspect(node: peer, incarnation: incarnation, by: accuser))
    }
    guard let i = suspicions.firstIndex(where: { $0.node == peer }) else { return }
    suspicions[i].isDeathTold = true
  }

  /// The suspect itself hears it first (Lifeguard, buddy system).
  private mutating func warn(_ peer: NodeID, _ word: GossipUpdate) {
    guard let member = members[peer] else { return }
    counters.datagramsSent += 1
    effects.append(
      .send(
        GossipDatagram(incarnation: incarnation, message: .gossip, updates: [word]), to: peer,
        at: member.profile.address))
  }

  mutating func endSuspicions(at now: Instant) {
    guard !configuration.plantedBugs.contains(.suspectForever) else {
      suspicions.removeAll { now >= $0.deadline }
      return
    }
    for suspicion in suspicions where now >= suspicion.deadline {
      if settle(suspicion.node, suspicion.incarnation, .dead, now) {
        tell(.dead(node: suspicion.node, incarnation: suspicion.incarnation, by: node), now)
      }
    }
  }

  /// Dead or left; true when that was news.
  mutating func settle(
    _ peer: NodeID, _ incarnation: Incarnation, _ standing: Member.Standing, _ now: Instant
  ) -> Bool {
    guard let known = members[peer] else {
      counters.unknownMemberDrops += 1
      return false
    }
    guard known.isOlder(than: incarnation, standing) else { return false }
    move(peer, to: incarnation, standing, now)
    guard let member = members[peer] else { return false }
    effects.append(.notify(standing == .left ? .left(member) : .dead(member)))
    return true
  }

  private mutating func takeHealth(_ health: GossipHealth, of peer: NodeID) -> Bool {
    guard let known = members[peer], health.version > known.health.version,
      !configuration.plantedBugs.contains(.ignoreHealth)
    else { return false }
    members[peer]?.health = health
    if let member = members[peer] { effects.append(.notify(.healthChanged(member))) }
    return true
  }

  private mutating func move(
    _ peer: NodeID, to incarnation: Incarnation, _ standing: Member.Standing, _ now: Instant
  ) {
    suspicions.removeAll { $0.node == peer }
    if members[peer]?.standing != standing { members[peer]?.since = now }
    members[peer]?.incarnation = incarnation
    members[peer]?.standing = standing
    setPlace(of: peer)
  }

  /// Keeps `reachable`, `dead` and the order of probes in step with a member's standing.
  private mutating func setPlace(of peer: NodeID) {
    guard let member = members[peer] else { return }
    if member.isReachable, member.place == nil {
      members[peer]?.place = reachable.count
      reachable.append(peer)
      order.insert(peer, &random)
    } else if !member.isReachable, let place = member.place {
      members[peer]?.place = nil
      let last = reachable.removeLast()
      if last != peer {
        reachable[place] = last
        members[last]?.place = place
      }
    }
    let isListed = dead.contains(peer)
    if member.standing == .dead, !isListed { dead.append(peer) }
    if member.standing != .dead, isListed { dead.removeAll { $0 == peer } }
  }
}
