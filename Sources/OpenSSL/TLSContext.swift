// What all sessions of one node share (SSL_CTX): own certificate and key, trusted authorities, TLS 1.3 and nothing older.
//
// No tickets, no resumption, no early data: every session proves both identities anew, and nothing can be replayed.
// A renewed certificate or another set of authorities is another context; sessions keep the one they began with.

import COpenSSL

/// Everything as PEM. Two authorities at once are a rotation.
package struct TLSCredentials: Sendable {
  package var authorities: [String]
  package var certificate: String
  package var key: SecretBytes

  package init(authorities: [String], certificate: String, key: SecretBytes) {
    self.authorities = authorities
    self.certificate = certificate
    self.key = key
  }
}

package final class TLSContext {
  let handle: OpaquePointer
  /// Whom the own certificate speaks for.
  package let identity: X509Identity
  /// Seconds since 1970: when to renew is up to the owner.
  package let validity: ClosedRange<Int64>

  /// `servesJoins`: whether its servers speak to peers that have no certificate yet.
  package init(_ credentials: TLSCredentials, servesJoins: Bool = false) throws(X509Error) {
    let certificate = try X509Certificate(pem: credentials.certificate)
    let key = try X509Key(pem: credentials.key)
    guard let identity = certificate.identity else {
      throw X509Error(.identity, "the certificate names no identity of a cluster")
    }
    self.identity = identity
    validity = certificate.validity
    handle = Self.bare()
    defer { ERR_clear_error() }
    TLSProtocol.choose(for: handle, servesJoins: servesJoins)
    SSL_CTX_set_verify(handle, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
    // Leaf and authority, nothing between. OpenSSL serves the leaf with the authority that it finds in the store.
    SSL_CTX_set_verify_depth(handle, 0)
    guard SSL_CTX_use_certificate(handle, certificate.handle) == 1, SSL_CTX_use_PrivateKey(handle, key.handle) == 1,
      SSL_CTX_check_private_key(handle) == 1
    else { throw X509Error(.mismatch, "the key is not that of the certificate") }
    guard let store = SSL_CTX_get_cert_store(handle) else { preconditionFailure("OpenSSL: no store") }
    for pem in credentials.authorities {
      let authority = try X509Certificate(pem: pem)
      must(X509_STORE_add_cert(store, authority.handle), "X509_STORE_add_cert")
    }
  }

  deinit { SSL_CTX_free(handle) }

  /// TLS 1.3 as we speak it, without a certificate and trusting nobody.
  static func bare() -> OpaquePointer {
    guard let handle = SSL_CTX_new(TLS_method()) else { preconditionFailure("out of memory") }
    defer { ERR_clear_error() }
    must(komora_tls13_only(handle), "set_min_proto_version")
    must(SSL_CTX_set_ciphersuites(handle, "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"), "set_ciphersuites")
    must(komora_set_groups(handle, "X25519:P-256"), "set1_groups_list")
    must(komora_set_signatures(handle, "ed25519:ecdsa_secp256r1_sha256"), "set1_sigalgs_list")
    must(SSL_CTX_set_num_tickets(handle, 0), "set_num_tickets")
    komora_keep_little(handle)
    return handle
  }
}
