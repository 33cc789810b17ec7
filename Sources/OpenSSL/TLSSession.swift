// One TLS 1.3 connection as a machine (SSL over two memory BIOs): bytes of the network in, effects out.
//
// The session does no input or output and knows no time. Nothing that the peer sends reaches `plain` before its
// certificate has been verified and its identity is the one expected; after `closed` it says nothing more. A client is
// established before the server has judged the client's certificate (TLS 1.3 is so): a refusal then arrives as an alert.

package import Base
import COpenSSL

package enum TLSEffect: Equatable, Sendable {
  case send([UInt8])
  case established(X509Identity)
  /// A peer that showed no certificate, on the protocol for those who have none yet.
  case joining
  case plain([UInt8])
  /// The last effect of a session.
  case closed(TLSClosure)
}

/// Whom this side is ready to talk to.
package struct TLSExpectation: Sendable {
  package var roles: Set<X509Identity.Role>
  /// The one peer that was called; nil accepts every member of the own cluster.
  package var id: NodeID?

  package init(roles: Set<X509Identity.Role> = [.node], id: NodeID? = nil) {
    self.roles = roles
    self.id = id
  }
}

package final class TLSSession {
  package enum Side: Sendable { case connecting, accepting }
  private enum Phase { case handshake, established, closed }
  private enum Trust {
    /// Members under the context's authorities.
    case members(TLSContext, TLSExpectation)
    /// The server of a joiner.
    case pin(TLSPin, TLSProtocol)
  }

  /// A handshake of ours has less than 4 KiB in each direction.
  package static let handshakeBytesMax = 32 << 10

  private let handle: OpaquePointer
  private let trust: Trust
  private let input = X509Memory()
  private let output = X509Memory()
  private var phase = Phase.handshake
  private var handshakeBytes = 0
  package private(set) var peer: X509Identity?
  /// Seconds since 1970 until which the peer's certificate is valid; a session should not outlive it.
  package private(set) var peerValidUntil: Int64?

  package convenience init(_ context: TLSContext, _ side: Side, expecting expectation: TLSExpectation) {
    guard let handle = SSL_new(context.handle) else { preconditionFailure("out of memory") }
    if side == .connecting { TLSProtocol.fabric.offer(by: handle) }
    self.init(handle, side, .members(context, expectation))
  }

  /// The side of a joiner, which has no certificate; its server must fit `pin`. Members refuse it on any other protocol
  /// than `join`.
  package convenience init(joining pin: TLSPin, speaking spoken: TLSProtocol = .join) {
    let context = TLSContext.bare()
    defer { SSL_CTX_free(context) }
    // OpenSSL finds no authority; the pin judges the chain before a byte of ours is sent.
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
    guard let handle = SSL_new(context) else { preconditionFailure("out of memory") }
    spoken.offer(by: handle)
    self.init(handle, .connecting, .pin(pin, spoken))
  }

  private init(_ handle: OpaquePointer, _ side: Side, _ trust: Trust) {
    self.handle = handle
    self.trust = trust
    // SSL owns one reference of each from here on, ours are further ones.
    BIO_up_ref(input.handle)
    BIO_up_ref(output.handle)
    SSL_set_bio(handle, input.handle, output.handle)
    if side == .connecting { SSL_set_connect_state(handle) } else { SSL_set_accept_state(handle) }
  }

  deinit { SSL_free(handle) }

  package var isEstablished: Bool { phase == .established }
  package var isClosed: Bool { phase == .closed }

  /// The first bytes of the side that connects.
  package func start() -> [TLSEffect] { phase == .handshake ? advance() : [] }

  /// What the network delivered.
  package func feed(_ bytes: RawSpan) -> [TLSEffect] {
    guard phase != .closed, bytes.byteCount > 0 else { return [] }
    if phase == .handshake {
      // Records of a TLS peer begin with 20 to 23; OpenSSL's own words for anything else depend on what it is.
      if handshakeBytes == 0, !(20...23).contains(bytes.unsafeLoad(as: UInt8.self)) { return close(.plaintext) }
      // The last bytes of a handshake may bring the first plain ones along, so only what came before counts.
      if handshakeBytes > Self.handshakeBytesMax { return close(.handshakeTooLong) }
      handshakeBytes += bytes.byteCount
    }
    input.write(bytes)
    return advance()
  }

  /// Seals `plain`; only once established, and nothing after the end.
  package func write(_ plain: RawSpan) -> [TLSEffect] {
    guard phase == .established, plain.byteCount > 0 else { return [] }
    ERR_clear_error()
    let result = plain.withUnsafeBytes { raw in
      var written = 0
      return SSL_write_ex(handle, raw.baseAddress, raw.count, &written)
    }
    // Into memory a write is whole or the session is broken.
    return result == 1 ? outgoing() : close(failure())
  }

  /// Says goodbye.
  package func close() -> [TLSEffect] {
    guard phase != .closed else { return [] }
    if phase == .established { SSL_shutdown(handle) }
    return close(.orderly)
  }

  /// The transport ended. A peer that says goodbye first has closed the session already.
  package func transportEnded() -> [TLSEffect] { phase == .closed ? [] : close(.truncated) }

  /// Ends the session for a reason that lies outside it, such as a deadline.
  package func abort(_ reason: TLSClosure) -> [TLSEffect] { phase == .closed ? [] : close(reason) }

  private func advance() -> [TLSEffect] {
    var effects: [TLSEffect] = []
    if phase == .handshake {
      ERR_clear_error()
      let result = SSL_do_handshake(handle)
      if result != 1 {
        guard SSL_get_error(handle, result) == SSL_ERROR_WANT_READ else { return close(failure()) }
        return outgoing()
      }
      let judged = judge()
      guard case .success(let identity) = judged else {
        // No alert fits a peer whose certificate is in order; the goodbye lets it know at once.
        SSL_shutdown(handle)
        if case .failure(let reason) = judged { return close(reason) }
        return close(.damaged)
      }
      effects += outgoing()
      phase = .established
      peer = identity
      effects.append(identity.map { .established($0) } ?? .joining)
    }
    effects += read()
    return effects
  }

  /// All records that are here, in few pieces: whoever takes them apart again has its own bounds.
  private func read() -> [TLSEffect] {
    var result: Int32 = 1
    // A record's text is shorter than the record. OpenSSL holds back less than one; what of it does not fit comes with the
    // next piece.
    let capacity = max(input.count, Int(SSL_pending(handle)), 512)
    let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, used in
      while result == 1, used < capacity {
        ERR_clear_error()
        var count = 0
        result = SSL_read_ex(handle, buffer.baseAddress! + used, capacity - used, &count)
        if result == 1 { used += count }
      }
    }
    let effects: [TLSEffect] = bytes.isEmpty ? [] : [.plain(bytes)]
    if result == 1 { return effects + read() }
    switch SSL_get_error(handle, result) {
    case SSL_ERROR_WANT_READ: return effects + outgoing()
    case SSL_ERROR_ZERO_RETURN:
      SSL_shutdown(handle)
      return effects + close(.orderly)
    default: return effects + close(failure())
    }
  }

  /// Who the peer is; nil for one that joins. The chain of a member, its purpose and its dates were OpenSSL's part.
  private func judge() -> Result<X509Identity?, TLSClosure> {
    let spoken = TLSProtocol(selectedBy: handle)
    switch trust {
    case .pin(let pin, let wanted):
      guard spoken == wanted else { return .failure(.foreignProtocol) }
      return pin.judge(TLSPin.chain(of: handle)).map { $0 }
    case .members(let context, let expectation):
      // The server has chosen it, so it serves joins.
      if spoken == .join { return .success(nil) }
      guard spoken == .fabric else { return .failure(.foreignProtocol) }
      return judge(context, expectation).map { $0 }
    }
  }

  private func judge(_ context: TLSContext, _ expectation: TLSExpectation) -> Result<X509Identity, TLSClosure> {
    guard SSL_get_verify_result(handle) == X509_V_OK, let shown = SSL_get1_peer_certificate(handle) else {
      return .failure(.noCertificate)
    }
    let certificate = X509Certificate(adopting: shown)
    guard let identity = certificate.identity else { return .failure(.malformedIdentity) }
    if identity.cluster != context.identity.cluster { return .failure(.foreignCluster) }
    if !expectation.roles.contains(identity.role) { return .failure(.wrongRole) }
    if let id = expectation.id, identity.id != id { return .failure(.wrongPeer) }
    peerValidUntil = certificate.validity.upperBound
    return .success(identity)
  }

  private func outgoing() -> [TLSEffect] {
    let bytes = output.take()
    return bytes.isEmpty ? [] : [.send(bytes)]
  }

  /// Alerts and the goodbye go out before the end.
  private func close(_ reason: TLSClosure) -> [TLSEffect] {
    phase = .closed
    ERR_clear_error()
    return outgoing() + [.closed(reason)]
  }

  private func failure() -> TLSClosure {
    let code = ERR_peek_error()
    defer { ERR_clear_error() }
    guard code != 0 else { return .damaged }
    return TLSSession.closure(reason: ERR_GET_REASON(code), verified: SSL_get_verify_result(handle))
  }
}
