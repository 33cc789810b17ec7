// Ed25519 signatures (RFC 8032), for manifests and ledgers. Keys have 32 bytes, signatures 64.

import COpenSSL

package enum Ed25519 {
  package static func generate() -> (private: SecretBytes, public: [UInt8]) {
    let secret = SecretBytes.random(32)
    return (secret, publicKey(of: secret))
  }

  package static func publicKey(of secret: SecretBytes) -> [UInt8] { PrivateKey("ED25519", secret).publicBytes }

  package static func sign(_ message: [UInt8], private secret: SecretBytes) -> [UInt8] {
    let key = PrivateKey("ED25519", secret)
    let context = EVP_MD_CTX_new()
    defer { EVP_MD_CTX_free(context) }
    must(EVP_DigestSignInit_ex(context, nil, nil, nil, nil, key.handle, nil), "EVP_DigestSignInit_ex")
    return [UInt8](unsafeUninitializedCapacity: 64) { buffer, used in
      used = 64
      must(EVP_DigestSign(context, buffer.baseAddress, &used, message, message.count), "EVP_DigestSign")
    }
  }

  /// False as well when `key` is no public key or `signature` has another length.
  package static func verify(_ signature: [UInt8], of message: [UInt8], public key: [UInt8]) -> Bool {
    guard signature.count == 64, let key = PublicKey("ED25519", key) else { return false }
    let context = EVP_MD_CTX_new()
    defer {
      EVP_MD_CTX_free(context)
      ERR_clear_error()
    }
    guard EVP_DigestVerifyInit_ex(context, nil, nil, nil, nil, key.handle, nil) == 1 else { return false }
    return EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
  }
}
