// What goes into datagrams and to whom, and what comes out of them.

import Base
import Formats

extension SwimMachine {
  /// A word to be spread; gossip goes on as long as there are any.
  mutating func tell(_ update: GossipUpdate, _ now: Instant) {
    if configuration.plantedBugs.contains(.neverRetransmit), !isOwnWord(update) { return }
    changes.put(update)
    guard schedule.gossip == nil, isSpeaking, !reachable.isEmpty else { return }
    schedule.gossip = now + portion(of: configuration.gossipPeriod)
  }

  private func isOwnWord(_ update: GossipUpdate) -> Bool {
    switch update {
    case .suspect(_, _, let by), .dead(_, _, let by): by == node
    case .alive, .left, .health: update.node == node
    }
  }

  mutating func gossip(_ now: Instant) {
    guard isSpeaking, !changes.isEmpty else { return }
    for member in pick(configuration.gossipFanout, where: { _ in true }) where !changes.isEmpty {
      send(.gossip, to: member)
    }
  }

  /// Up to `wanted` different reachable members that fit, each equally likely.
  mutating func pick(_ wanted: Int, where fits: (Member) -> Bool) -> [Member] {
    var chosen: [Member] = []
    // Tries, as a cluster where few fit must not cost a walk over all of it.
    for _ in 0..<(wanted * 4 + 8) where chosen.count < wanted && !reachable.isEmpty {
      let peer = reachable[random.below(reachable.count)]
      guard !chosen.contains(where: { $0.node == peer }), let member = members[peer], fits(member) else { continue }
      chosen.append(member)
    }
    return chosen
  }

  mutating func send(_ message: GossipMessage, to member: Member) {
    send(message, to: member.node, at: member.profile.address, member)
  }

  private mutating func send(
    _ message: GossipMessage, to peer: NodeID, at address: GossipAddress, _ member: Member?
  ) {
    var room = GossipDatagram.room(beside: message)
    var updates: [GossipUpdate] = []
    if let member, let word = doubt(about: member) {
      room -= word.byteCount
      updates.append(word)
    }
    let isBug = configuration.plantedBugs.contains(.neverRetransmit)
    let limit = isBug ? 1 : configuration.retransmissions(count)
    changes.take(into: &updates, room: &room, limit: limit)
    // Health is carried where there is room: it never causes a datagram.
    reports.take(into: &updates, room: &room, limit: limit)
    if configuration.plantedBugs.contains(.gossipWithoutBound) {
      for update in updates where update.node != peer { changes.put(update) }
    }
    counters.datagramsSent += 1
    effects.append(
      .send(GossipDatagram(incarnation: incarnation, message: message, updates: updates), to: peer, at: address))
  }

  /// Whoever is doubted hears of it with every datagram that goes to him, so that he can clear himself.
  private func doubt(about member: Member) -> GossipUpdate? {
    switch member.standing {
    case .alive: nil
    case .suspect: .suspect(node: member.node, incarnation: member.incarnation, by: node)
    case .dead: .dead(node: member.node, incarnation: member.incarnation, by: node)
    case .left: .left(node: member.node, incarnation: member.incarnation)
    }
  }

  mutating func receive(
    _ datagram: GossipDatagram, _ sender: NodeID, _ address: GossipAddress, _ now: Instant
  ) {
    guard isSpeaking, sender != node else {
      counters.inactiveDrops += 1
      return
    }
    counters.datagramsReceived += 1
    for update in datagram.updates { apply(update, from: sender, now) }
    let member = members[sender]
    switch datagram.message {
    case .ping(let sequence, let target):
      // A node that took over an address must not answer for the one that had it.
      guard target == node else { counters.foreignTargetDrops += 1; break }
      send(.ack(sequence: sequence), to: sender, at: address, member)
    case .ack(let sequence): answered(sequence, by: sender, now)
    case .pingRequest(let sequence, let target):
      guard let member, target != node else { counters.unknownMemberDrops += 1; break }
      relay(sequence, to: target, for: member, now)
    case .nack(let sequence): nacked(sequence, by: sender)
    case .gossip: break
    }
    noticeStranger(member, sender, address, datagram.incarnation, now)
  }

  /// A sender that we do not know, or know too little of, is asked for all it knows.
  private mutating func noticeStranger(
    _ member: Member?, _ sender: NodeID, _ address: GossipAddress, _ incarnation: Incarnation, _ now: Instant
  ) {
    guard case .active = phase else { return }
    if let member, member.incarnation >= incarnation { return }
    if let next = schedule.extraPushPull, now < next { return }
    schedule.extraPushPull = now + configuration.joinRetry
    askState(of: sender, at: address)
  }
}
