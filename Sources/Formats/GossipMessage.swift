// What a datagram asks or answers; updates ride along on every one.

public import Base

public enum GossipMessage: Hashable, Sendable, CustomStringConvertible {
  /// Are you there? Answered only by `target`: another node at its old address stays silent.
  case ping(sequence: UInt32, target: NodeID)
  case ack(sequence: UInt32)
  /// Ask `target` for me (SWIM 3.1).
  case pingRequest(sequence: UInt32, target: NodeID)
  /// I am here, the target did not answer me in time (Lifeguard, LHA-Probe).
  case nack(sequence: UInt32)
  /// Only updates.
  case gossip

  var kind: UInt8 {
    switch self {
    case .ping: 0
    case .ack: 1
    case .pingRequest: 2
    case .nack: 3
    case .gossip: 4
    }
  }

  var sequence: UInt32 {
    switch self {
    case .ping(let sequence, _), .ack(let sequence), .pingRequest(let sequence, _), .nack(let sequence): sequence
    case .gossip: 0
    }
  }

  var target: NodeID? {
    switch self {
    case .ping(_, let target), .pingRequest(_, let target): target
    case .ack, .nack, .gossip: nil
    }
  }

  public var description: String {
    switch self {
    case .ping(let sequence, let target): "ping \(sequence) \(target.shortName)"
    case .ack(let sequence): "ack \(sequence)"
    case .pingRequest(let sequence, let target): "ping-req \(sequence) \(target.shortName)"
    case .nack(let sequence): "nack \(sequence)"
    case .gossip: "gossip"
    }
  }
}
