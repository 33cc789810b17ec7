// The algorithms that this module uses, fetched from OpenSSL's default provider once.
//
// OpenSSL 3 looks an algorithm up by name, under a lock, whenever a call names none that was fetched; at the size of a
// database page that look-up costs more than the work.

import COpenSSL

// Invariant: each handle is set once, before its first use, never freed, and only read by OpenSSL, which counts its
// references itself.
enum Algorithms {
  nonisolated(unsafe) static let sha256 = required(EVP_MD_fetch(nil, "SHA2-256", nil), "SHA-256")
  nonisolated(unsafe) static let md5 = required(EVP_MD_fetch(nil, "MD5", nil), "MD5")
  nonisolated(unsafe) static let hmac = required(EVP_MAC_fetch(nil, "HMAC", nil), "HMAC")
  nonisolated(unsafe) static let aes256gcm = required(EVP_CIPHER_fetch(nil, "AES-256-GCM", nil), "AES-256-GCM")
  nonisolated(unsafe) static let chaCha20Poly1305 = required(
    EVP_CIPHER_fetch(nil, "ChaCha20-Poly1305", nil), "ChaCha20-Poly1305")

  /// Nothing of ours works without them, so a library that lacks one ends the process with its name.
  private static func required(_ handle: OpaquePointer?, _ name: String) -> OpaquePointer {
    guard let handle else { preconditionFailure("this OpenSSL has no \(name)") }
    return handle
  }
}

/// A call of OpenSSL that fails only when memory has run out or our own arguments are wrong.
@inline(__always)
func must(_ result: Int32, _ call: StaticString) {
  precondition(result == 1, "OpenSSL: \(call) failed")
}
