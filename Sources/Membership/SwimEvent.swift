// Everything that can happen to a member, each one line in a trace.

package import Base
package import Formats

package enum SwimEvent: Sendable, Equatable, CustomStringConvertible {
  /// Begins a life. `stored` is the incarnation on the disk, 0 in a node's first life; `seeds` are asked to let it in.
  case start(stored: Incarnation, seeds: [GossipAddress])
  /// What `persist` asked for is durable.
  case persisted(Incarnation)
  /// The moment of the last `setTimer` has come.
  case tick
  case datagram(GossipDatagram, from: NodeID, at: GossipAddress)
  /// The other's half of a push-pull, whoever began it.
  case state(GossipState, from: NodeID)
  /// A push-pull that was asked for came to nothing. `refused`: the host answered that nobody listens.
  case pushPullFailed(node: NodeID?, at: GossipAddress, refused: Bool)
  case sample(HealthSample)
  case hint(StreamHint, about: NodeID)
  case leave

  package var description: String {
    switch self {
    case .start(let stored, let seeds): "start stored \(stored) seeds \(seeds)"
    case .persisted(let incarnation): "persisted \(incarnation)"
    case .tick: "tick"
    case .datagram(let datagram, let sender, _): "from \(sender.shortName) \(datagram)"
    case .state(let state, let sender): "state of \(sender.shortName), \(state.entries.count) members"
    case .pushPullFailed(let node, let address, let refused):
      "push-pull with \(node?.shortName ?? "?") at \(address) \(refused ? "refused" : "failed")"
    case .sample(let sample):
      "sample load \(sample.loadPermille) disk \(sample.diskFillPermille) lag \(sample.loopLag) sync "
        + "\(sample.syncLatency) apply \(sample.applyLag)\(sample.isDraining ? " draining" : "")"
    case .hint(let hint, let peer): "hint \(peer.shortName) \(hint)"
    case .leave: "leave"
    }
  }
}

/// What a stream to a peer tells about it.
package enum StreamHint: Sendable, Equatable {
  /// Ended without a goodbye, or its beats stay away: look at once.
  case closed
  /// The host says that nobody listens there: suspect at once.
  case refused
}
