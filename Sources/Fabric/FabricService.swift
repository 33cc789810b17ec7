// What the node above does with what arrives.
//
// Called on the loop: what is not async returns at once. Everything but the first three has a default that does nothing.

package import Base
package import OpenSSL
package import UVLoop

package protocol FabricService: Sendable {
  /// Whether this peer may ask this method at all.
  func permits(_ method: UInt16, to peer: X509Identity) -> Bool
  /// Nil gives the stream up.
  func answer(_ method: UInt16, _ question: [UInt8], from peer: X509Identity) async -> [UInt8]?
  func heard(_ datagram: [UInt8], from sender: NodeID, at address: SocketAddress)

  /// A question of somebody who has no certificate: the only proof is what the question itself carries. Nil refuses.
  func join(_ question: [UInt8], from address: SocketAddress?) async -> [UInt8]?
  /// How a method is spoken.
  func shape(of method: UInt16) -> FabricShape
  /// How much a peer may send ahead on a channel of this method; nil is the connection's window. Over a round trip of
  /// 40 ms the connection's 256 KiB are 6 MB a second. It is counted against what a peer may hold.
  func window(of method: UInt16) -> Int?
  /// Serves a channel that a peer opened; it ends when this returns and nobody holds it any more.
  func serve(_ channel: FabricChannel, _ method: UInt16, from peer: X509Identity) async
  /// What `name` means to a bulk method; nil when there is none.
  func source(_ method: UInt16, _ name: [UInt8], from peer: X509Identity) async -> (any FabricSource)?
  /// A standing link is up.
  func linkUp(_ id: NodeID)
  /// A standing link has ended, or could not be made: once per change of its state.
  func linkDown(_ id: NodeID, reason: FabricLoss)
}

extension FabricService {
  package func join(_ question: [UInt8], from address: SocketAddress?) async -> [UInt8]? { nil }
  package func shape(of method: UInt16) -> FabricShape { .question }
  package func window(of method: UInt16) -> Int? { nil }
  package func serve(_ channel: FabricChannel, _ method: UInt16, from peer: X509Identity) async {}
  package func source(_ method: UInt16, _ name: [UInt8], from peer: X509Identity) async -> (any FabricSource)? { nil }
  package func linkUp(_ id: NodeID) {}
  package func linkDown(_ id: NodeID, reason: FabricLoss) {}
}

package enum FabricShape: Sendable {
  /// One question, one answer.
  case question
  /// A stream in both directions.
  case channel
  /// Something large is fetched, from any offset.
  case bulk
}

/// Why a standing link is down.
package enum FabricLoss: String, Sendable, Hashable, CaseIterable {
  /// The peer said goodbye: it stops, and is not at fault.
  case closed
  /// One side does not accept the other: certificate, identity, version, or removed from the cluster.
  case refused
  /// The connection broke without a goodbye.
  case lost
  /// The peer no longer answers, or never did.
  case silent
  /// Nobody listens there, or there is no way there.
  case unreachable
  /// This side ended it.
  case here

  init(_ end: FabricLink.End, wasReady: Bool) {
    self =
      switch end {
      // A server that does not like a certificate which is in order says goodbye before its hello.
      case .tls(.orderly): wasReady ? .closed : .refused
      case .tls(.handshakeTimeout): .silent
      case .tls(.truncated): wasReady ? .lost : .unreachable
      case .tls: .refused
      case .fabric(.here): .here
      case .fabric(.peer), .fabric(.peerIdle), .fabric(.peerRenews): .closed
      case .fabric(.peerRefuses), .fabric(.version): .refused
      case .fabric(.silent), .fabric(.helloTimeout): .silent
      case .fabric: .lost
      case .transport: wasReady ? .lost : .unreachable
      case .refused: .here
      }
  }
}
