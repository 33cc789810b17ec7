// Why a TLS session ended. Each case is a counter's name, so none carries text from the peer.

package enum TLSClosure: String, Error, Sendable, Hashable, CaseIterable {
  /// Either side said goodbye.
  case orderly
  /// The transport ended without a goodbye.
  case truncated
  /// The peer does not speak TLS.
  case plaintext
  /// The peer speaks no TLS 1.3.
  case downgraded
  /// The peer showed no certificate.
  case noCertificate
  case expired
  case notYetValid
  /// Signed by nobody whom we trust, or badly.
  case foreignAuthority
  /// A certificate that is not made for this side of a connection.
  case wrongPurpose
  /// Its names are not one identity of ours.
  case malformedIdentity
  case foreignCluster
  case wrongRole
  /// Somebody else than the one whom we called.
  case wrongPeer
  /// The served chain does not contain the pinned authority.
  case wrongPin
  /// The peer wants something else of this port, or says nothing of what it wants.
  case foreignProtocol
  /// The peer refused us with an alert.
  case refusedByPeer
  /// More bytes than any handshake needs.
  case handshakeTooLong
  /// The handshake took too long; decided by whoever holds the clock.
  case handshakeTimeout
  /// Anything that breaks the protocol: damaged records, wrong order.
  case damaged
}
