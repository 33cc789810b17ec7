// What may happen to a connection, and what is to be done about it, in this order.

package import Formats

/// Nanoseconds of a monotone clock of this machine.
package typealias FabricInstant = Int64

package typealias StreamID = UInt32

package enum FabricEvent: Equatable, Sendable {
  /// The transport is there and its peer proved.
  case started
  /// Plain bytes of the peer.
  case received([UInt8])
  /// How many bytes the transport takes now; replaces what was said before.
  case room(Int)
  /// Opens `nextStream`.
  case open(FabricOpening, [UInt8], ends: Bool)
  case send(StreamID, [UInt8], ends: Bool)
  /// Asks for one `sendable`.
  case wantRoom(StreamID)
  /// The application is done with so many received bytes of the stream.
  case consumed(StreamID, Int)
  /// Gives a stream up in both directions.
  case cancel(StreamID)
  /// As `cancel`, and says that the peer may not ask this.
  case refuse(StreamID)
  /// The peer may send so much of the stream ahead, if that is more than the connection's window.
  case widen(StreamID, to: Int)
  /// Ends the stream after so many nanoseconds, if nothing does before.
  case expire(StreamID, within: Int64)
  /// The instant of `nextTick` has come.
  case tick
  /// Says goodbye: this side stops.
  case close
  /// Says goodbye for another reason.
  case leave(FabricGoodbye)
  /// The transport ended.
  case transportEnded
}

package enum FabricEffect: Equatable, Sendable {
  case transmit([UInt8])
  /// Both sides have said hello; streams may be opened.
  case ready(version: UInt16)
  /// The peer opened a stream.
  case accepted(StreamID, FabricOpening)
  case data(StreamID, [UInt8], ends: Bool)
  /// Nothing of this `send` or `open` was taken: the stream's buffer is full, or there is no such stream.
  case refused(StreamID)
  /// After `wantRoom` or `refused`: at least half of the stream's buffer is free.
  case sendable(StreamID)
  /// The stream is gone before both halves ended.
  case ended(StreamID, StreamEnd)
  /// The last effect of a connection.
  case closed(FabricClosure)
}

package enum StreamEnd: Equatable, Sendable {
  case cancelledByPeer
  /// The peer says that this side may not ask this.
  case refusedByPeer
  case deadline
  case connectionClosed
}

/// Why a connection ended. Each case is a counter's name.
package enum FabricClosure: String, Sendable, Hashable, CaseIterable {
  case here
  /// The peer stops.
  case peer
  /// The peer had no use for the connection.
  case peerIdle
  /// The peer has made another connection.
  case peerRenews
  /// The peer does not want this side.
  case peerRefuses
  case transport
  /// No version that both speak.
  case version
  /// No hello in time.
  case helloTimeout
  /// Nothing heard for longer than the limit: half-open, or the peer is stuck.
  case silent
  /// Bytes that are no frame.
  case malformed
  /// A whole frame at the wrong time: a second hello, another side's stream number, data after the end.
  case disorder
  /// More data than the credit allowed.
  case overrun
  /// More open streams or unanswered control frames than the limit.
  case flood
}
