// One belief about one member, as it spreads: who, at which incarnation, and what is said of it.

public import Base

public enum GossipUpdate: Hashable, Sendable, CustomStringConvertible {
  /// Only the member itself makes this one; others pass it on.
  case alive(node: NodeID, incarnation: Incarnation, profile: GossipProfile, health: GossipHealth)
  /// `by` is who accuses: different accusers confirm each other.
  case suspect(node: NodeID, incarnation: Incarnation, by: NodeID)
  case dead(node: NodeID, incarnation: Incarnation, by: NodeID)
  /// Said by the member itself when it goes.
  case left(node: NodeID, incarnation: Incarnation)
  case health(node: NodeID, incarnation: Incarnation, GossipHealth)

  public var node: NodeID {
    switch self {
    case .alive(let node, _, _, _), .suspect(let node, _, _), .dead(let node, _, _), .left(let node, _),
      .health(let node, _, _):
      node
    }
  }

  public var incarnation: Incarnation {
    switch self {
    case .alive(_, let incarnation, _, _), .suspect(_, let incarnation, _), .dead(_, let incarnation, _),
      .left(_, let incarnation), .health(_, let incarnation, _):
      incarnation
    }
  }

  private var kind: UInt8 {
    switch self {
    case .alive: 0
    case .suspect: 1
    case .dead: 2
    case .left: 3
    case .health: 4
    }
  }

  public var byteCount: Int {
    switch self {
    case .alive(_, _, let profile, _): 25 + profile.byteCount + GossipHealth.byteCount
    case .suspect, .dead: 25 + 16
    case .left: 25
    case .health: 25 + GossipHealth.byteCount
    }
  }

  func encode(to w: inout ByteWriter) {
    w.put(kind)
    w.put(node)
    w.put(incarnation)
    switch self {
    case .alive(_, _, let profile, let health):
      profile.encode(to: &w)
      health.encode(to: &w)
    case .suspect(_, _, let by), .dead(_, _, let by): w.put(by)
    case .left: break
    case .health(_, _, let health): health.encode(to: &w)
    }
  }

  init(from r: inout GossipReader) throws(FormatError) {
    let start = r.offset
    let kind: UInt8 = try r.take()
    let node = try r.takeNode()
    let incarnation = try r.takeIncarnation()
    switch kind {
    case 0:
      let profile = try GossipProfile(from: &r)
      self = .alive(node: node, incarnation: incarnation, profile: profile, health: try GossipHealth(from: &r))
    case 1: self = .suspect(node: node, incarnation: incarnation, by: try r.takeNode())
    case 2: self = .dead(node: node, incarnation: incarnation, by: try r.takeNode())
    case 3: self = .left(node: node, incarnation: incarnation)
    case 4: self = .health(node: node, incarnation: incarnation, try GossipHealth(from: &r))
    default: throw FormatError(.damaged, "update of kind \(kind)", at: start)
    }
  }

  public var description: String {
    let place = "\(node.shortName)@\(incarnation)"
    return switch self {
    case .alive: "alive \(place)"
    case .suspect(_, _, let by): "suspect \(place) by \(by.shortName)"
    case .dead(_, _, let by): "dead \(place) by \(by.shortName)"
    case .left: "left \(place)"
    case .health(_, _, let health): "health \(place) v\(health.version)"
    }
  }
}

extension NodeID {
  /// The last six digits: enough to follow a trace.
  public var shortName: String { String(description.suffix(6)) }
}
