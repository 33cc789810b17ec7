// What an endpoint is told by its node, what it asks of it, and what it counts.

package import Base
package import OpenSSL
package import UVLoop

package struct FabricConfiguration: Sendable {
  package var address: SocketAddress
  package var credentials: TLSCredentials
  package var datagramKeys: DatagramKeys
  /// See `DatagramSealer`.
  package var notBefore: UnixMicroseconds = 0
  /// Roles that may call this endpoint.
  package var roles: Set<X509Identity.Role> = [.node]
  package var limits = FabricLimits()
  /// Bytes of one question or one answer.
  package var messageBytesMax = 8 << 20
  /// Links that others may have open here at once.
  package var linksMax = 1024
  package var handshakeTimeout: Duration = .seconds(5)

  package init(address: SocketAddress, credentials: TLSCredentials, datagramKeys: DatagramKeys) {
    self.address = address
    self.credentials = credentials
    self.datagramKeys = datagramKeys
  }
}

/// What the node above does with what arrives. Called on the loop: the synchronous two return at once.
package protocol FabricService: Sendable {
  /// Whether this peer may ask this method at all.
  func permits(_ method: UInt16, to peer: X509Identity) -> Bool
  /// Nil gives the stream up.
  func answer(_ method: UInt16, _ question: [UInt8], from peer: X509Identity) async -> [UInt8]?
  func heard(_ datagram: [UInt8], from sender: NodeID, at address: SocketAddress)
}

package struct FabricCounters: Equatable, Sendable {
  package var datagramsAccepted = 0
  package var datagramsDropped = 0
  package var datagramsRefused: [String: Int] = [:]
  package var linksEnded: [String: Int] = [:]
  package var links = 0
}
