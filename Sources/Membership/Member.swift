// What one member believes of another.

package import Base
package import Formats

package struct Member: Sendable, Equatable {
  package typealias Standing = GossipState.Entry.Standing
  package let node: NodeID
  package internal(set) var incarnation: Incarnation
  package internal(set) var standing: Standing
  package internal(set) var profile: GossipProfile
  package internal(set) var health: GossipHealth
  /// Since when this standing is believed.
  package internal(set) var since: Instant
  /// Measured by direct probes; nil before the first answer.
  package internal(set) var roundTrip: RoundTrip?
  /// Place in the machine's list of members that can be reached.
  var place: Int?

  /// Reached by probes and gossip: not yet given up.
  package var isReachable: Bool { standing <= .suspect }

  /// Beliefs are ordered: a greater incarnation wins, then the graver word (SWIM 4.2; left is the member's own word).
  func isOlder(than incarnation: Incarnation, _ standing: Standing) -> Bool {
    (self.incarnation, self.standing) < (incarnation, standing)
  }

  func entry(at now: Instant) -> GossipState.Entry {
    GossipState.Entry(
      standing: standing, node: node, incarnation: incarnation,
      ageSeconds: UInt32(clamping: (now - since).seconds), profile: profile, health: health)
  }
}
