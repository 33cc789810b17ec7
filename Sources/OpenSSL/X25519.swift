// X25519 key agreement (RFC 7748). Keys and shared secrets have 32 bytes.

import COpenSSL

package enum X25519 {
  package static func generate() -> (private: SecretBytes, public: [UInt8]) {
    let secret = SecretBytes.random(32)
    return (secret, publicKey(of: secret))
  }

  package static func publicKey(of secret: SecretBytes) -> [UInt8] { PrivateKey("X25519", secret).publicBytes }

  /// Nil when `peer` is no key, or one of small order, whose shared secret is all zeros for everybody.
  package static func shared(private secret: SecretBytes, public peer: [UInt8]) -> SecretBytes? {
    let key = PrivateKey("X25519", secret)
    guard let other = PublicKey("X25519", peer) else { return nil }
    guard let context = EVP_PKEY_CTX_new_from_pkey(nil, key.handle, nil) else { preconditionFailure("out of memory") }
    defer {
      EVP_PKEY_CTX_free(context)
      ERR_clear_error()
    }
    guard EVP_PKEY_derive_init(context) == 1, EVP_PKEY_derive_set_peer(context, other.handle) == 1 else { return nil }
    var agreed = true
    let shared = SecretBytes(count: 32) { span in
      span.withUnsafeMutableBytes { raw in
        var count = raw.count
        let start = raw.baseAddress!.assumingMemoryBound(to: UInt8.self)
        agreed = EVP_PKEY_derive(context, start, &count) == 1 && count == 32
      }
    }
    return agreed ? shared : nil
  }
}
