// Wrapping under a key of 32 bytes: AES-256-GCM with a random nonce; the account is associated data.
//
// The providers differ only in where the 32 bytes come from. Under one key at most 2^32 random nonces are drawn (NIST SP
// 800-38D §8.3), that is 4 billion wraps.

import Base
import OpenSSL
import Threads

final class KeyWrapper: Sendable {
  /// The first 8 bytes of a hash of the key, as 16 digits.
  let id: String
  private let cipher: Lock<AESGCM>

  init(key: SecretBytes) {
    let digest = HMACSHA256.authenticate(Array("komora key id".utf8).span.bytes, key: key)
    id = digest.prefix(8).hex
    cipher = Lock(AESGCM(key: key))
  }

  func wrap(_ key: SecretBytes, for account: AccountID) -> [UInt8] {
    let nonce = SystemRandom.bytes(AESGCM.nonceBytes)
    var plain = key.copy
    let sealed = cipher.with { $0.seal(plain, nonce: nonce, aad: Self.binding(account)) }
    wipe(&plain)
    return nonce + sealed
  }

  func unwrap(_ wrapped: [UInt8], for account: AccountID) throws(AtRestError) -> SecretBytes {
    let nonce = Array(wrapped.prefix(AESGCM.nonceBytes))
    guard nonce.count == AESGCM.nonceBytes else { throw AtRestError(.damaged, "a wrapped key that is too short") }
    let sealed = Array(wrapped.dropFirst(AESGCM.nonceBytes))
    guard var plain = cipher.with({ $0.open(sealed, nonce: nonce, aad: Self.binding(account)) }) else {
      throw AtRestError(.wrongKey, "the key-encryption key \(id) does not open this account's key")
    }
    return SecretBytes(wiping: &plain)
  }

  private static func binding(_ account: AccountID) -> [UInt8] { Array("komora account key 1".utf8) + account.bytes }
}
