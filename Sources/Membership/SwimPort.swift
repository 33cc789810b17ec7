// What the membership needs from the node it runs on. Every call returns at once; answers come back as events.

package import Base
package import Formats

package protocol SwimPort {
  /// Seals and sends one datagram; may lose it.
  mutating func send(_ plaintext: [UInt8], to node: NodeID, at address: GossipAddress)
  /// Opens a stream, gives `SwimDriver.fullState`, and feeds what comes back, or the failure.
  mutating func pushPull(with node: NodeID?, at address: GossipAddress)
  /// Stores it durably, then feeds `persisted`.
  mutating func persist(_ incarnation: Incarnation)
  /// Feeds `tick` at that instant; replaces the timer before.
  mutating func setTimer(_ instant: Instant)
  mutating func publish(_ news: MembershipNews)
  mutating func leaveFinished()
}
