// How somebody without a certificate knows that it talks to the right cluster: by the digest of its authority.
//
// The served chain must contain the pinned authority, and the leaf must be signed by it, be in time, be made for servers
// and name a node. Nothing else that the chain holds is looked at, and no other authority of this machine is trusted.

import COpenSSL

package struct TLSPin: Sendable {
  /// SHA-256 of the authority's certificate in DER form.
  package var authority: [UInt8]
  /// The cluster's name, where the joiner knows it.
  package var cluster: String?

  package init(authority: [UInt8], cluster: String? = nil) {
    self.authority = authority
    self.cluster = cluster
  }

  /// Judges a served chain, the leaf first.
  package func judge(_ chain: [X509Certificate]) -> Result<X509Identity, TLSClosure> {
    guard let leaf = chain.first else { return .failure(.noCertificate) }
    guard let pinned = chain.first(where: { $0.fingerprint == authority }) else { return .failure(.wrongPin) }
    if let reason = verify(leaf, by: pinned) { return .failure(reason) }
    guard let identity = leaf.identity else { return .failure(.malformedIdentity) }
    if let cluster, identity.cluster != cluster { return .failure(.foreignCluster) }
    return identity.role == .node ? .success(identity) : .failure(.wrongRole)
  }

  private func verify(_ leaf: X509Certificate, by authority: X509Certificate) -> TLSClosure? {
    guard let store = X509_STORE_new(), let context = X509_STORE_CTX_new() else { preconditionFailure("out of memory") }
    defer {
      X509_STORE_CTX_free(context)
      X509_STORE_free(store)
      ERR_clear_error()
    }
    must(X509_STORE_add_cert(store, authority.handle), "X509_STORE_add_cert")
    must(X509_STORE_CTX_init(context, store, leaf.handle, nil), "X509_STORE_CTX_init")
    must(X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER), "X509_STORE_CTX_set_purpose")
    X509_STORE_CTX_set_depth(context, 0)
    if X509_verify_cert(context) == 1 { return nil }
    return TLSSession.closure(verified: Int(X509_STORE_CTX_get_error(context)))
  }

  /// The chain that a server has shown to `session`, the leaf first.
  static func chain(of session: OpaquePointer) -> [X509Certificate] {
    guard let stack = SSL_get_peer_cert_chain(session) else { return [] }
    return (0..<OPENSSL_sk_num(stack)).compactMap { index in
      guard let raw = OPENSSL_sk_value(stack, index) else { return nil }
      let handle = OpaquePointer(raw)
      X509_up_ref(handle)
      return X509Certificate(adopting: handle)
    }
  }
}
