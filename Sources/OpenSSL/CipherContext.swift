// One direction of an authenticated cipher under one key (EVP_CIPHER_CTX), used again for every message.
//
// Only the nonce is set anew: the key schedule and the context's memory stay. Both ciphers of this module have nonces of
// 12 bytes and tags of 16.

import COpenSSL

final class CipherContext: @unchecked Sendable {
  // Invariant: the cipher that holds it lets one thread at a time use it, as it asks of its own users.
  static let nonceBytes = 12
  static let tagBytes = 16
  private let handle: OpaquePointer

  init(_ algorithm: Algorithm, key: SecretBytes) {
    precondition(key.count == 32, "the key has 32 bytes")
    guard let handle = EVP_CIPHER_CTX_new() else { preconditionFailure("out of memory") }
    self.handle = handle
    key.with { span in
      span.withUnsafeBytes { raw in
        let start = raw.baseAddress!.assumingMemoryBound(to: UInt8.self)
        must(EVP_CipherInit_ex2(handle, algorithm.handle, start, nil, -1, nil), "EVP_CipherInit_ex2")
      }
    }
  }

  // Freeing wipes the key schedule.
  deinit { EVP_CIPHER_CTX_free(handle) }

  /// `output` takes as many bytes as `input` has (it may be the same memory), `tag` 16.
  func seal(
    _ input: UnsafeRawBufferPointer, to output: UnsafeMutableRawPointer?, tag: UnsafeMutableRawPointer,
    nonce: RawSpan, aad: RawSpan
  ) {
    start(nonce: nonce, aad: aad, encrypting: 1)
    precondition(update(input, to: output), "OpenSSL: EVP_CipherUpdate failed")
    must(finish(), "EVP_CipherFinal_ex")
    must(EVP_CIPHER_CTX_ctrl(handle, EVP_CTRL_AEAD_GET_TAG, 16, tag), "EVP_CTRL_AEAD_GET_TAG")
  }

  /// False when the tag does not fit; `output` is then zeroed, for what was written to it was never authenticated.
  func open(
    _ input: UnsafeRawBufferPointer, to output: UnsafeMutableRawPointer?, tag: UnsafeRawPointer,
    nonce: RawSpan, aad: RawSpan
  ) -> Bool {
    start(nonce: nonce, aad: aad, encrypting: 0)
    let expected = UnsafeMutableRawPointer(mutating: tag)
    must(EVP_CIPHER_CTX_ctrl(handle, EVP_CTRL_AEAD_SET_TAG, 16, expected), "EVP_CTRL_AEAD_SET_TAG")
    if update(input, to: output), finish() == 1 { return true }
    if let output { OPENSSL_cleanse(output, input.count) }
    return false
  }

  private func start(nonce: RawSpan, aad: RawSpan, encrypting: Int32) {
    precondition(nonce.byteCount == Self.nonceBytes, "the nonce has 12 bytes")
    nonce.withUnsafeBytes { raw in
      let start = raw.baseAddress!.assumingMemoryBound(to: UInt8.self)
      must(EVP_CipherInit_ex2(handle, nil, nil, start, encrypting, nil), "EVP_CipherInit_ex2")
    }
    let accepted = aad.withUnsafeBytes { update($0, to: nil) }
    precondition(accepted, "OpenSSL: associated data refused")
  }

  private func update(_ input: UnsafeRawBufferPointer, to output: UnsafeMutableRawPointer?) -> Bool {
    guard input.count > 0 else { return true }
    precondition(input.count <= Int(Int32.max), "a message has at most 2 GiB")
    var written: Int32 = 0
    return EVP_CipherUpdate(
      handle, output?.assumingMemoryBound(to: UInt8.self), &written,
      input.baseAddress!.assumingMemoryBound(to: UInt8.self), Int32(input.count)) == 1
  }

  private func finish() -> Int32 {
    var none: Int32 = 0
    return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { rest in
      EVP_CipherFinal_ex(handle, rest.baseAddress, &none)
    }
  }
}
