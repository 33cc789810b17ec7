// A raw private key of one of the two curves, as OpenSSL holds it (EVP_PKEY). Both have 32 bytes for every half.

import COpenSSL

final class PrivateKey {
  let handle: OpaquePointer

  /// `private` has 32 bytes; any 32 bytes are a key.
  init(_ algorithm: StaticString, _ secret: SecretBytes) {
    precondition(secret.count == 32, "a private key has 32 bytes")
    let handle = secret.with { span in
      span.withUnsafeBytes { raw in
        EVP_PKEY_new_raw_private_key_ex(
          nil, algorithm.text, nil, raw.baseAddress!.assumingMemoryBound(to: UInt8.self), raw.count)
      }
    }
    guard let handle else { preconditionFailure("OpenSSL: no private key of \(algorithm)") }
    self.handle = handle
  }

  deinit { EVP_PKEY_free(handle) }

  var publicBytes: [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 32) { buffer, used in
      used = 32
      must(EVP_PKEY_get_raw_public_key(handle, buffer.baseAddress, &used), "EVP_PKEY_get_raw_public_key")
    }
  }
}

/// A raw public key; nil when `bytes` cannot be one.
final class PublicKey {
  let handle: OpaquePointer

  init?(_ algorithm: StaticString, _ bytes: [UInt8]) {
    guard bytes.count == 32,
      let handle = EVP_PKEY_new_raw_public_key_ex(nil, algorithm.text, nil, bytes, bytes.count)
    else { return nil }
    self.handle = handle
  }

  deinit { EVP_PKEY_free(handle) }
}

extension StaticString {
  var text: UnsafePointer<CChar> { UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self) }
}
