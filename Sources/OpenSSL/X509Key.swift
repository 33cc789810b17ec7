// The private key of a certificate: Ed25519, or P-256 where other software must read it. Stored as PKCS #8 PEM.

import COpenSSL

package final class X509Key {
  package enum Kind: Sendable, CaseIterable { case ed25519, p256 }

  package let kind: Kind
  let handle: OpaquePointer

  package static func generate(_ kind: Kind = .ed25519) -> X509Key {
    let handle = kind == .ed25519 ? komora_generate_ed25519() : komora_generate_p256()
    guard let handle else { preconditionFailure("OpenSSL: no key of \(kind)") }
    return X509Key(adopting: handle, kind)
  }

  private init(adopting handle: OpaquePointer, _ kind: Kind) {
    self.handle = handle
    self.kind = kind
  }

  /// Reads an unencrypted private key; anything else is refused, a prompt for a passphrase never appears.
  package convenience init(pem: SecretBytes) throws(X509Error) {
    defer { ERR_clear_error() }
    let memory = pem.with { X509Memory($0) }
    guard let handle = memory.read({ PEM_read_bio_PrivateKey($0, nil, { _, _, _, _ in -1 }, nil) }) else {
      throw X509Error(.unreadable, "not an unencrypted private key in PEM")
    }
    if EVP_PKEY_is_a(handle, "ED25519") == 1 {
      self.init(adopting: handle, .ed25519)
    } else if EVP_PKEY_is_a(handle, "EC") == 1, EVP_PKEY_get_bits(handle) == 256, Self.isP256(handle) {
      self.init(adopting: handle, .p256)
    } else {
      EVP_PKEY_free(handle)
      throw X509Error(.keyKind, "a key is Ed25519 or P-256")
    }
  }

  deinit { EVP_PKEY_free(handle) }

  package var pem: SecretBytes {
    let memory = X509Memory()
    must(PEM_write_bio_PKCS8PrivateKey(memory.handle, handle, nil, nil, 0, nil, nil), "PEM_write_bio_PKCS8PrivateKey")
    return memory.with { SecretBytes(copying: $0) }
  }

  /// Ed25519 hashes by itself.
  var digest: OpaquePointer? { kind == .ed25519 ? nil : EVP_sha256() }

  private static func isP256(_ handle: OpaquePointer) -> Bool {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { name in
      var count = 0
      return EVP_PKEY_get_group_name(handle, name.baseAddress, 32, &count) == 1
        && String(cString: name.baseAddress!) == "prime256v1"
    }
  }
}
