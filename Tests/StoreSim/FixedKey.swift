// A key-encryption key that is always the same, so that every life of a simulated node opens its keyrings.

import AtRest
import Base
import OpenSSL

struct FixedKey: KeyEncryption {
  let id = "simulation"
  private let key = SecretBytes([UInt8](repeating: 7, count: 32))

  func wrap(_ secret: SecretBytes, for account: AccountID) throws(AtRestError) -> [UInt8] {
    let nonce = SystemRandom.bytes(12)
    return nonce + AESGCM(key: key).seal(secret.copy, nonce: nonce, aad: account.bytes)
  }

  func unwrap(_ wrapped: [UInt8], for account: AccountID) throws(AtRestError) -> SecretBytes {
    guard wrapped.count > 12,
      let plain = AESGCM(key: key).open(Array(wrapped[12...]), nonce: Array(wrapped[..<12]), aad: account.bytes)
    else { throw AtRestError(.wrongKey, "another key") }
    return SecretBytes(plain)
  }
}
