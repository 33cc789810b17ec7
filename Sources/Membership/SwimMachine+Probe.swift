// Probes: direct, then through others, then judgement (SWIM 3.1, Lifeguard LHA-Probe).

import Base
import Formats

extension SwimMachine {
  mutating func probeNext(_ now: Instant) {
    guard case .active = phase else { return }
    if let suspect = popUrgent() { return probe(suspect, now) }
    let reached = members
    if let target = order.pop(&random, isWanted: { reached[$0]?.isReachable == true }) { probe(target, now) }
  }

  mutating func startUrgentProbes(_ now: Instant) {
    guard case .active = phase else { return }
    while urgentLeft > 0, let target = popUrgent() {
      urgentLeft -= 1
      probe(target, now)
    }
  }

  mutating func wantProbe(of peer: NodeID) {
    if !urgent.contains(peer), urgent.count < 64 { urgent.append(peer) }
  }

  private mutating func popUrgent() -> NodeID? {
    while !urgent.isEmpty {
      let peer = urgent.removeFirst()
      if members[peer]?.isReachable == true, !probes.contains(where: { $0.target == peer }) { return peer }
    }
    return nil
  }

  private mutating func probe(_ target: NodeID, _ now: Instant) {
    guard let member = members[target], !probes.contains(where: { $0.target == target }) else { return }
    sequence &+= 1
    counters.probes += 1
    let period = configuration.probePeriod * health.multiplier
    let patience = max(configuration.probeTimeout * health.multiplier, member.roundTrip?.bound ?? .zero)
    // Half of the period at least is for the helpers.
    probes.append(
      Probe(
        sequence: sequence, target: target, sentAt: now, askHelpersAt: now + min(patience, period / 2),
        end: now + period))
    send(.ping(sequence: sequence, target: target), to: member)
  }

  mutating func runProbes(at now: Instant) {
    var i = 0
    while i < probes.count {
      if now >= probes[i].end {
        judge(probes.remove(at: i), now)
        continue
      }
      if let due = probes[i].askHelpersAt, now >= due {
        probes[i].askHelpersAt = nil
        let (target, sequence) = (probes[i].target, probes[i].sequence)
        let helpers = pick(configuration.indirectProbes) { $0.node != target && $0.standing == .alive }
        probes[i].helpers = helpers.map(\.node)
        counters.indirectProbes += helpers.count
        for helper in helpers { send(.pingRequest(sequence: sequence, target: target), to: helper) }
      }
      i += 1
    }
  }

  /// No answer, neither direct nor through others. Helpers that said "not me either" clear us; silent ones accuse us.
  private mutating func judge(_ probe: Probe, _ now: Instant) {
    counters.probesFailed += 1
    health.add(probe.helpers.isEmpty ? 1 : probe.helpers.count - probe.nacks)
    accuse(probe.target, now)
  }

  mutating func answered(_ sequence: UInt32, by sender: NodeID, _ now: Instant) {
    if let i = relays.firstIndex(where: { $0.sequence == sequence && $0.target == sender }) {
      let relay = relays.remove(at: i)
      if let origin = members[relay.origin] { send(.ack(sequence: relay.originalSequence), to: origin) }
      return
    }
    guard let i = probes.firstIndex(where: { $0.sequence == sequence }),
      probes[i].target == sender || probes[i].helpers.contains(sender)
    else {
      counters.lateAnswerDrops += 1
      return
    }
    let probe = probes.remove(at: i)
    health.add(-1)
    guard probe.target == sender else { return }
    let trip = now - probe.sentAt
    members[sender]?.measured(trip)
  }

  mutating func nacked(_ sequence: UInt32, by sender: NodeID) {
    guard let i = probes.firstIndex(where: { $0.sequence == sequence }), probes[i].helpers.contains(sender) else {
      counters.lateAnswerDrops += 1
      return
    }
    probes[i].nacks = min(probes[i].nacks + 1, probes[i].helpers.count)
  }

  // MARK: for others

  mutating func relay(_ originalSequence: UInt32, to target: NodeID, for origin: Member, _ now: Instant) {
    guard let member = members[target], member.isReachable, relays.count < 64 else {
      send(.nack(sequence: originalSequence), to: origin)
      return
    }
    sequence &+= 1
    // Early enough that the nack is there before the origin's period ends (Lifeguard: 80 % of the timeout).
    relays.append(
      Relay(
        sequence: sequence, originalSequence: originalSequence, origin: origin.node, target: target,
        nackAt: now + configuration.probeTimeout.permille(800)))
    send(.ping(sequence: sequence, target: target), to: member)
  }

  mutating func runRelays(at now: Instant) {
    guard relays.contains(where: { now >= $0.nackAt }) else { return }
    for relay in relays where now >= relay.nackAt {
      if let origin = members[relay.origin] { send(.nack(sequence: relay.originalSequence), to: origin) }
    }
    relays.removeAll { now >= $0.nackAt }
  }
}

extension Member {
  mutating func measured(_ trip: Interval) {
    if roundTrip == nil { roundTrip = RoundTrip(trip) } else { roundTrip?.add(trip) }
  }
}
