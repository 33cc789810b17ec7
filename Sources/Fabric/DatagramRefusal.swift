// Why a datagram was refused. Each case is a counter's name.

package enum DatagramRefusal: String, Error, Sendable, Hashable, CaseIterable {
  /// Longer than any datagram of ours; nothing of it was read.
  case tooLong
  /// Shorter than head and tag.
  case truncated
  /// Not ours, or of another version.
  case foreign
  /// Sealed by a key that is not in the ring.
  case unknownKey
  /// Its sender was removed from the cluster.
  case removed
  /// It says that we sent it.
  case reflected
  /// Sent before this node started: whether it was heard then, nobody remembers.
  case beforeStart
  /// The sender's clock and ours are too far apart, or it lay somewhere for long.
  case stale
  /// The seal does not fit: another key, another sender, a changed byte.
  case unauthentic
  /// Heard before.
  case replayed
  /// Older than what the window remembers.
  case tooOld
  /// More senders than a cluster has members.
  case tooManySenders
}
