// Seals the values of a control store: AES-256-GCM, a fresh random nonce for each put.
//
// The key is derived (HKDF-SHA-256) from the store's own random root key, which lies in the store wrapped by the node's
// key-encryption key: so a rotation of that key rewraps one value and touches no other. The associated data is the
// entry's key and revision: a value moved to another key, or put back under a later revision, does not open. Random
// nonces of 96 bits are safe for 2^32 puts under one key; a control store makes a few a minute.

import Base
import OpenSSL

final class ControlSealer {
  private let cipher: AESGCM

  init(root: SecretBytes) {
    cipher = AESGCM(key: HKDF.derive(key: root, salt: [], info: Array("komora control values v1".utf8), count: 32))
  }

  /// Nonce, cipher text and tag.
  func seal(_ value: [UInt8], key: String, revision: Int64) -> [UInt8] {
    let nonce = SystemRandom.bytes(AESGCM.nonceBytes)
    return nonce + cipher.seal(value, nonce: nonce, aad: Self.associated(key, revision))
  }

  /// Nil when it was not sealed for this key and revision, or has changed since.
  func open(_ sealed: [UInt8], key: String, revision: Int64) -> [UInt8]? {
    guard sealed.count >= AESGCM.nonceBytes + AESGCM.tagBytes else { return nil }
    let nonce = Array(sealed.prefix(AESGCM.nonceBytes))
    return cipher.open(
      Array(sealed.dropFirst(AESGCM.nonceBytes)), nonce: nonce, aad: Self.associated(key, revision))
  }

  private static func associated(_ key: String, _ revision: Int64) -> [UInt8] {
    var writer = ByteWriter()
    writer.put(revision)
    writer.put(text: key)
    return writer.bytes
  }
}
