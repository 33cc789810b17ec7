// The algorithms that this module uses, fetched from OpenSSL's default provider once.
//
// OpenSSL 3 looks an algorithm up by name, under a lock, whenever a call names none that was fetched; at the size of a
// database page that look-up costs more than the work.

import COpenSSL

enum Algorithms {
  static let sha256 = Algorithm(EVP_MD_fetch(nil, "SHA2-256", nil), "SHA-256")
  static let sha1 = Algorithm(EVP_MD_fetch(nil, "SHA1", nil), "SHA-1")
  static let md5 = Algorithm(EVP_MD_fetch(nil, "MD5", nil), "MD5")
  static let hmac = Algorithm(EVP_MAC_fetch(nil, "HMAC", nil), "HMAC")
  static let aes256gcm = Algorithm(EVP_CIPHER_fetch(nil, "AES-256-GCM", nil), "AES-256-GCM")
  static let chaCha20Poly1305 = Algorithm(EVP_CIPHER_fetch(nil, "ChaCha20-Poly1305", nil), "ChaCha20-Poly1305")
}

struct Algorithm: @unchecked Sendable {
  // Invariant: the handle is never freed, and OpenSSL, which counts its references itself, only reads it.
  let handle: OpaquePointer

  /// Nothing of ours works without them, so a library that lacks one ends the process with its name.
  fileprivate init(_ handle: OpaquePointer?, _ name: String) {
    guard let handle else { preconditionFailure("this OpenSSL has no \(name)") }
    self.handle = handle
  }
}

/// A call of OpenSSL that fails only when memory has run out or our own arguments are wrong.
@inline(__always)
func must(_ result: Int32, _ call: StaticString) {
  precondition(result == 1, "OpenSSL: \(call) failed")
}
