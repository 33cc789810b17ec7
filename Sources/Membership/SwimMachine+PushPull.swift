// Full states: at the join, now and then with a random member, and with the dead and the seeds, so that the halves of a
// healed network find each other. And what streams hint at.

import Base
import Formats

extension SwimMachine {
  /// Nobody is reachable although somebody should be.
  var isAlone: Bool { reachable.isEmpty }

  mutating func askState(of peer: NodeID?, at address: GossipAddress) {
    counters.pushPulls += 1
    effects.append(.pushPull(node: peer, at: address))
  }

  mutating func pushPullWithSomeone() {
    guard case .active = phase else { return }
    if let member = pick(1, where: { $0.standing == .alive }).first {
      askState(of: member.node, at: member.profile.address)
    }
  }

  /// One of the dead, with a chance of (dead / reachable), so that all members together try each about once a period;
  /// and each seed that no reachable member stands for.
  mutating func reconnect() {
    guard case .active = phase, !configuration.plantedBugs.contains(.neverReconnect) || members.isEmpty else { return }
    if !dead.isEmpty, random.below(count) < dead.count, let member = members[dead[random.below(dead.count)]] {
      askState(of: member.node, at: member.profile.address)
    }
    guard !seeds.isEmpty else { return }
    let seed = seeds[random.below(seeds.count)]
    let isKnown = reachable.contains { members[$0]?.profile.address == seed }
    if !isKnown, isAlone || random.below(count) < 2 { askState(of: nil, at: seed) }
  }

  mutating func merge(_ state: GossipState, from sender: NodeID, _ now: Instant) {
    guard case .active = phase, !configuration.plantedBugs.contains(.dropMerge) || members.isEmpty else {
      counters.inactiveDrops += 1
      return
    }
    for entry in state.entries {
      if entry.node == node { mergeOwn(entry, now) } else { merge(entry, from: sender, now) }
    }
  }

  private mutating func mergeOwn(_ entry: GossipState.Entry, _ now: Instant) {
    if entry.standing != .alive || entry.incarnation > incarnation { refute(entry.incarnation, now) }
  }

  private mutating func merge(_ entry: GossipState.Entry, from sender: NodeID, _ now: Instant) {
    guard let known = members[entry.node] else { return mergeUnknown(entry, from: sender, now) }
    switch entry.standing {
    case .alive: live(entry.node, entry.incarnation, entry.profile, entry.health, now)
    case .suspect:
      catchUp(known, entry, now)
      // The teller only heard it: reason to begin a suspicion, never to confirm one.
      guard known.isOlder(than: entry.incarnation, .suspect) else { break }
      suspect(entry.node, entry.incarnation, by: sender, now)
    case .dead:
      // A death that we did not see may be the other side's view of a network that was cut: the member may object.
      catchUp(known, entry, now)
      if known.isReachable {
        suspect(entry.node, entry.incarnation, by: sender, now)
      } else {
        _ = settle(entry.node, entry.incarnation, .dead, now)
      }
    case .left:
      if settle(entry.node, entry.incarnation, .left, now) {
        tell(.left(node: entry.node, incarnation: entry.incarnation), now)
      }
    }
  }

  /// The entry is of a later life than ours: its profile counts, whatever has become of it since.
  private mutating func catchUp(_ known: Member, _ entry: GossipState.Entry, _ now: Instant) {
    guard entry.incarnation > known.incarnation else { return }
    members[entry.node]?.profile = entry.profile
  }

  private mutating func mergeUnknown(_ entry: GossipState.Entry, from sender: NodeID, _ now: Instant) {
    let age = Interval.seconds(Int(entry.ageSeconds))
    var member = Member(
      node: entry.node, incarnation: entry.incarnation, standing: entry.standing, profile: entry.profile,
      health: entry.health, since: now - age)
    switch entry.standing {
    case .alive, .suspect:
      member.standing = .alive
      member.since = now
      meet(member, now)
      if entry.standing == .suspect { suspect(entry.node, entry.incarnation, by: sender, now) }
    case .dead where age < configuration.deadRetention: meet(member, now)
    case .left where age < configuration.leftRetention: meet(member, now)
    case .dead, .left: break
    }
  }

  /// What a stream says is quicker than any probe, but it is one member's word: it starts a probe or a suspicion.
  mutating func take(_ hint: StreamHint, about peer: NodeID, _ now: Instant) {
    guard case .active = phase, members[peer]?.isReachable == true else { return }
    switch hint {
    case .closed: wantProbe(of: peer)
    case .refused: accuse(peer, now)
    }
  }
}
