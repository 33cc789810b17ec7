// What an endpoint is told by its node.

package import Base
package import OpenSSL
package import UVLoop

package struct FabricConfiguration: Sendable {
  package var address: SocketAddress
  package var credentials: TLSCredentials
  package var datagramKeys: DatagramKeys
  /// An earlier run of this node may have sent, and heard, up to there: see `DatagramSealer`, `DatagramOpener`.
  package var notBefore: UnixMicroseconds = 0
  /// Roles that may call this endpoint.
  package var roles: Set<X509Identity.Role> = [.node]
  package var limits = FabricLimits()
  /// Bytes of one question or one answer.
  package var messageBytesMax = 8 << 20
  /// Links that others may have open here at once.
  package var linksMax = 1024
  package var handshakeTimeout: Duration = .seconds(5)

  /// The one method that somebody without a certificate may ask; nil serves no joins.
  package var joinMethod: UInt16?
  /// Links to join at once, and how long each may take from its handshake on.
  package var joinsMax = 8
  /// Of these, from one source address (IPv6: one /64).
  package var joinsPerSourceMax = 3
  package var joinTimeout: Duration = .seconds(10)

  /// The wait before a standing link is made again: doubled from the first to the second, jittered.
  package var reconnectMin: Duration = .milliseconds(100)
  package var reconnectMax: Duration = .seconds(10)
  /// A link that was made on demand closes after so long without a use.
  package var idleTimeout: Duration = .seconds(60)

  /// Handshakes under way at once: each costs two signatures and memory before anybody is proved.
  package var handshakesMax = 64
  /// Of these, from one source address (IPv6: one /64): who says nothing takes his own share only.
  package var handshakesPerSourceMax = 16
  /// Connections from one source address (IPv6: one /64) a second, and at once.
  package var acceptsPerSecond = 100
  package var acceptBurst = 400
  /// Links of one peer. Renewing needs two.
  package var peerLinksMax = 8
  /// Questions of one peer a second, and at once.
  package var peerQuestionsPerSecond = 20_000
  /// What one peer's questions, their answers and its channels may hold in memory here.
  package var peerBytesMax = 64 << 20
  /// The longest that a question of a peer is worked on, whatever deadline it has, or none.
  package var questionTimeMax: Duration = .seconds(600)
  /// Bulk bytes to one peer a second; nil is without a limit.
  package var bulkBytesPerSecond: Int?

  package init(address: SocketAddress, credentials: TLSCredentials, datagramKeys: DatagramKeys) {
    self.address = address
    self.credentials = credentials
    self.datagramKeys = datagramKeys
  }
}
