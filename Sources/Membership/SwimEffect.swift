// Everything that a member wants done, in this order, each one line in a trace.

package import Base
package import Formats

package enum SwimEffect: Sendable, Equatable, CustomStringConvertible {
  /// Make it durable, then say `persisted`. Nothing is sent under a greater incarnation before that.
  case persist(Incarnation)
  case send(GossipDatagram, to: NodeID, at: GossipAddress)
  /// Exchange full states over a stream. `node` is nil for a seed that is known by address only.
  case pushPull(node: NodeID?, at: GossipAddress)
  case notify(MembershipNews)
  /// Said goodbye for long enough; nothing more will be sent.
  case leaveFinished
  /// The one timer; replaces the one before.
  case setTimer(Instant)

  package var description: String {
    switch self {
    case .persist(let incarnation): "persist \(incarnation)"
    case .send(let datagram, let node, _): "to \(node.shortName) \(datagram)"
    case .pushPull(let node, let address): "push-pull with \(node?.shortName ?? "?") at \(address)"
    case .notify(let news): "news \(news)"
    case .leaveFinished: "leave finished"
    case .setTimer(let instant): "timer \(instant)"
    }
  }
}

/// What subscribers hear.
package enum MembershipNews: Sendable, Equatable, CustomStringConvertible {
  case alive(Member)
  case suspect(Member)
  case dead(Member)
  case left(Member)
  case healthChanged(Member)
  /// Dead or gone for so long that it is forgotten.
  case forgotten(NodeID)

  package var description: String {
    switch self {
    case .alive(let m): "alive \(m.node.shortName)@\(m.incarnation)"
    case .suspect(let m): "suspect \(m.node.shortName)@\(m.incarnation)"
    case .dead(let m): "dead \(m.node.shortName)@\(m.incarnation)"
    case .left(let m): "left \(m.node.shortName)@\(m.incarnation)"
    case .healthChanged(let m): "health \(m.node.shortName) score \(m.health.score)"
    case .forgotten(let node): "forgotten \(node.shortName)"
    }
  }
}
