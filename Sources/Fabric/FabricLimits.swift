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
  package var silenceMax: Int64 = 5_000_000_000
  /// Versions that this release speaks.
  package var versions: ClosedRange<UInt16> = 1...1

  package init() {}
}
