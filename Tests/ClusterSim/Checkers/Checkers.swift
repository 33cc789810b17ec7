// All checkers of a run, and what each of them is shown.

import Base
import Formats
import Membership

struct Checkers {
  private var incarnations: IncarnationChecker
  private var durability = DurabilityChecker()
  private var ownership: OwnershipChecker
  private var beliefs: BeliefOrderChecker
  private var departures: DepartureChecker
  private var datagrams: DatagramChecker

  init(count: Int, configuration: SwimConfiguration) {
    incarnations = IncarnationChecker(count: count)
    ownership = OwnershipChecker(count: count)
    beliefs = BeliefOrderChecker(count: count)
    departures = DepartureChecker(count: count)
    datagrams = DatagramChecker(count: count, configuration)
  }

  mutating func started(_ number: Int) {
    beliefs.started(number)
    departures.started(number)
  }

  /// After each step of a member: the incarnation that it lives under.
  mutating func lived(_ number: Int, _ incarnation: Incarnation) { ownership.lived(number, incarnation) }

  mutating func sent(_ number: Int, _ bytes: [UInt8], _ world: ClusterWorld) throws(Violation) {
    try datagrams.check(number, bytes, at: world.now)
    guard let datagram = try? GossipDatagram(bytes) else {
      throw Violation(checker: "datagrams", message: "\(number) sent what cannot be read")
    }
    let member = world.members[number]
    try incarnations.check(number, life: member.life, datagram.incarnation)
    try durability.check(number, datagram.incarnation, durable: member.durable)
    for update in datagram.updates {
      guard let subject = world.number(of: update.node) else { continue }
      try ownership.check(number, about: subject, update.incarnation)
    }
  }

  mutating func heard(_ number: Int, _ news: MembershipNews, _ world: ClusterWorld) throws(Violation) {
    guard let belief = Belief(news), let subject = world.number(of: belief.node) else { return }
    try ownership.check(number, about: subject, belief.incarnation)
    try beliefs.check(number, about: subject, belief)
    try departures.check(number, about: subject, belief)
  }
}

/// What a member says that it believes from now on.
struct Belief {
  let node: NodeID
  let incarnation: Incarnation
  let standing: Member.Standing

  init?(_ news: MembershipNews) {
    switch news {
    case .alive(let member): (node, incarnation, standing) = (member.node, member.incarnation, .alive)
    case .suspect(let member): (node, incarnation, standing) = (member.node, member.incarnation, .suspect)
    case .dead(let member): (node, incarnation, standing) = (member.node, member.incarnation, .dead)
    case .left(let member): (node, incarnation, standing) = (member.node, member.incarnation, .left)
    case .healthChanged, .forgotten: return nil
    }
  }
}
