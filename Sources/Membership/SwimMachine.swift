// Who is alive: SWIM (Das, Gupta, Motivala 2002) with Lifeguard's three extensions (Dadgar, Phillips, Currey 2018), as a
// value. One event and an instant in, effects in the order of their execution out; it never throws and never waits.
//
// Members probe each other in a random order, ask others to probe before they suspect, give a suspect time to clear
// itself with a raised incarnation, and tell what they learn on the datagrams that they send anyway. It decides nothing
// about data: that is for leases and the control store. Not here: bytes on a wire, seals, streams, clocks.

package import Base
package import Formats

package struct SwimMachine: Sendable {
  package enum Phase: Sendable, Equatable {
    case idle
    /// Waits until its incarnation is durable.
    case starting
    case active
    /// Says goodbye until then.
    case leaving(until: Instant)
    case left
  }

  package let node: NodeID
  package let profile: GossipProfile
  package let configuration: SwimConfiguration
  package internal(set) var phase = Phase.idle
  package internal(set) var incarnation: Incarnation = 0
  package internal(set) var counters = SwimCounters()
  package internal(set) var ownHealth = GossipHealth()

  /// Durable: nothing greater is ever sent.
  var ceiling: Incarnation = 0
  /// Asked to be durable, not yet confirmed.
  var ceilingAsked: Incarnation = 0
  /// A refutation that waits for its incarnation to be durable.
  var wantedIncarnation: Incarnation?
  var seeds: [GossipAddress] = []

  var members: [NodeID: Member] = [:]
  /// Those of `members` that are alive or suspected, in no order that means anything.
  var reachable: [NodeID] = []
  /// Those that are dead, to be tried again.
  var dead: [NodeID] = []
  var suspicions: [Suspicion] = []

  var random: SeededGenerator
  var order = ProbeOrder()
  var urgent: [NodeID] = []
  var urgentLeft = 0
  var probes: [Probe] = []
  var relays: [Relay] = []
  var sequence: UInt32
  var health: LocalHealth
  var changes = UpdateQueue()
  var reports = UpdateQueue()
  var schedule = Schedule()
  var effects: [SwimEffect] = []

  /// Traps on a configuration that cannot work: `configuration.problem` says why before it comes here.
  package init(node: NodeID, profile: GossipProfile, configuration: SwimConfiguration, seed: UInt64) {
    precondition(configuration.problem == nil, "membership: \(configuration.problem ?? "")")
    self.node = node
    self.profile = profile
    self.configuration = configuration
    random = SeededGenerator(seed: seed)
    sequence = UInt32(truncatingIfNeeded: random.next())
    health = LocalHealth(most: configuration.healthScoreMax)
  }

  package mutating func handle(_ event: SwimEvent, at now: Instant) -> [SwimEffect] {
    effects = []
    noticeStall(at: now)
    switch event {
    case .start(let stored, let seeds): start(stored, seeds)
    case .persisted(let incarnation): persisted(incarnation, now)
    case .tick: schedule.timer = nil
    case .datagram(let datagram, let sender, let address): receive(datagram, sender, address, now)
    case .state(let state, let sender): merge(state, from: sender, now)
    case .pushPullFailed(let peer, _, let refused): if refused, let peer { take(.refused, about: peer, now) }
    case .sample(let sample): take(sample, now)
    case .hint(let hint, let peer): take(hint, about: peer, now)
    case .leave: leave(now)
    }
    runDueWork(at: now)
    setTimer()
    let result = effects
    effects = []
    return result
  }

  /// Reachable members, this one included.
  package var count: Int { reachable.count + 1 }
  package var healthMultiplier: Int { health.multiplier }
  package func member(_ node: NodeID) -> Member? { members[node] }

  /// All that is known of others, by id.
  package var others: [Member] { members.values.sorted { $0.node < $1.node } }

  /// This member's half of a push-pull; nil while it may not speak.
  package func fullState(at now: Instant) -> GossipState? {
    let standing: Member.Standing
    switch phase {
    case .idle, .starting: return nil
    case .active: standing = .alive
    case .leaving, .left: standing = .left
    }
    let own = GossipState.Entry(
      standing: standing, node: node, incarnation: incarnation, ageSeconds: 0, profile: profile, health: ownHealth)
    return GossipState(entries: [own] + others.prefix(GossipLimits.membersMax - 1).map { $0.entry(at: now) })
  }

  var isSpeaking: Bool {
    switch phase {
    case .active, .leaving: true
    case .idle, .starting, .left: false
    }
  }
}
