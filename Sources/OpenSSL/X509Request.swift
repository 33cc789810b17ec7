// A signing request (PKCS #10): proof that whoever asks holds the key. It carries no names that anyone believes; the
// authority decides whom the certificate speaks for.

import COpenSSL

package enum X509Request {
  package static func make(_ key: X509Key) -> String {
    guard let request = X509_REQ_new() else { preconditionFailure("out of memory") }
    defer { X509_REQ_free(request) }
    must(X509_REQ_set_version(request, 0), "X509_REQ_set_version")
    must(X509_REQ_set_pubkey(request, key.handle), "X509_REQ_set_pubkey")
    precondition(X509_REQ_sign(request, key.handle, key.digest) > 0, "OpenSSL: X509_REQ_sign failed")
    let memory = X509Memory()
    must(PEM_write_bio_X509_REQ(memory.handle, request), "PEM_write_bio_X509_REQ")
    return memory.text
  }

  /// Lends the public key of a request whose own signature is right.
  static func withPublicKey<R>(_ pem: String, _ body: (OpaquePointer) throws(X509Error) -> R) throws(X509Error) -> R {
    defer { ERR_clear_error() }
    guard let request = X509Memory(pem).read({ PEM_read_bio_X509_REQ($0, nil, nil, nil) }) else {
      throw X509Error(.unreadable, "not a signing request in PEM")
    }
    defer { X509_REQ_free(request) }
    guard let key = X509_REQ_get0_pubkey(request), X509_REQ_verify(request, key) == 1 else {
      throw X509Error(.mismatch, "the signature of the request does not match its key")
    }
    guard EVP_PKEY_is_a(key, "ED25519") == 1 || (EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_bits(key) == 256) else {
      throw X509Error(.keyKind, "a key is Ed25519 or P-256")
    }
    return try body(key)
  }
}
