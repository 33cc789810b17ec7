// A key-encryption key for tests: fast, and with a number so that rotations have something to rotate to.

import AtRest
import Base
import OpenSSL

struct TestKey: KeyEncryption {
  let id: String
  private let key: SecretBytes

  init(_ number: UInt8) {
    id = "test-\(number)"
    key = SecretBytes([UInt8](repeating: 7 &+ number, count: 32))
  }

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
