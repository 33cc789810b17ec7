// What an endpoint refuses by itself, above TLS and frames. Each case is a counter's name.

package enum FabricRefusal: String, Error, Sendable, Hashable, CaseIterable {
  /// The peer was removed from the cluster.
  case removed
  /// Its role may not ask this method.
  case method
  /// It asks faster than its rate.
  case questionRate
  /// What it asks at once holds more memory than one peer gets.
  case peerBytes
  /// It has more links than one peer needs.
  case peerLinks
  /// More links than this endpoint holds.
  case links
  /// More handshakes at once than this endpoint pays for.
  case handshakes
  /// Its address calls faster than its rate.
  case acceptRate
  /// Somebody without a certificate asks anything but to join.
  case joinMethod
  /// A second question on a link that has one.
  case joinAgain
  case joinTooLarge
  /// A link to join that is not done in time.
  case joinTimeout
  /// More links to join than are served at once.
  case joins
}
