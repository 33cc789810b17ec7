// What one connection may cost and how long it may be silent.

import Formats

package struct FabricLimits: Sendable {
  /// Streams that the peer may have open at once.
  package var peerStreamsMax = 256
  /// Streams that this side opens at once.
  package var ownStreamsMax = 1024
  /// Unread bytes of one stream: with 256 streams a peer costs at most 64 MiB, an honest one far less.
  package var window: UInt32 = 256 << 10
  /// Bytes of one stream that wait to be sent; a larger `send` is refused whole.
  package var sendBufferBytesMax = 256 << 10
  /// Control frames that wait to be sent.
  package var controlFramesMax = 4096
  /// Payload of one frame: what an urgent one may have to wait for.
  package var frameBytes = FabricFrame.payloadBytesMax
  package var helloTimeout: Int64 = 5_000_000_000
  /// A ping measures the round trip and finds a dead peer.
  package var pingInterval: Int64 = 1_000_000_000
  /// Pings in a row after which nothing was heard; when the next one is due, the peer is dead. Counted, not timed: a
  /// process that was stopped for a while must not take its own sleep for its peers' silence.
  package var pingsMissedMax = 4
  /// Versions that this release speaks.
  package var versions: ClosedRange<UInt16> = 1...1

  package init() {}

  /// What a peer without a certificate may cost: one question, and a second one so that it can be refused by name.
  package static func joining(helloTimeout: Int64) -> FabricLimits {
    var limits = FabricLimits()
    (limits.peerStreamsMax, limits.ownStreamsMax, limits.controlFramesMax) = (2, 1, 64)
    limits.window = 64 << 10
    limits.sendBufferBytesMax = 64 << 10
    limits.helloTimeout = helloTimeout
    return limits
  }
}
