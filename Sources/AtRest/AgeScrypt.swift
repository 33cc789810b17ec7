// age's passphrase stanza: the file key sealed under a key from scrypt. It is always the only stanza of its file.

import OpenSSL

package enum AgeScrypt {
  /// As the age tool writes.
  package static let standardWorkFactor = 18
  /// 1 GiB of memory; a file from outside that asks for more is refused.
  static let workFactorMax = 20
  static let type = "scrypt"
  private static let label = Array("age-encryption.org/v1/scrypt".utf8)
  private static let noNonce = [UInt8](repeating: 0, count: ChaCha20Poly1305.nonceBytes)

  static func wrap(
    _ fileKey: SecretBytes, _ passphrase: SecretBytes, workFactor: Int
  ) throws(AtRestError) -> AgeHeader.Stanza {
    guard passphrase.count > 0 else { throw AtRestError(.refused, "an empty passphrase") }
    let salt = SystemRandom.bytes(16)
    let key = try key(passphrase, salt, workFactor)
    var plain = fileKey.copy
    defer { wipe(&plain) }
    let body = ChaCha20Poly1305(key: key).seal(plain, nonce: noNonce, aad: [])
    let saltText = String(decoding: AgeBase64.encode(salt), as: UTF8.self)
    return AgeHeader.Stanza(type: type, arguments: [saltText, "\(workFactor)"], body: body)
  }

  /// Nil when the passphrase is another one.
  static func unwrap(
    _ stanza: AgeHeader.Stanza, _ passphrase: SecretBytes
  ) throws(AtRestError) -> SecretBytes? {
    guard stanza.arguments.count == 2, let salt = AgeBase64.decode(stanza.arguments[0].utf8), salt.count == 16,
      stanza.body.count == 32, let factor = Int(stanza.arguments[1]), stanza.arguments[1] == "\(factor)", factor > 0
    else { throw AtRestError(.damaged, "an age stanza that is not well-formed") }
    let key = try key(passphrase, salt, factor)
    guard var plain = ChaCha20Poly1305(key: key).open(stanza.body, nonce: noNonce, aad: []) else { return nil }
    return SecretBytes(wiping: &plain)
  }

  private static func key(
    _ passphrase: SecretBytes, _ salt: [UInt8], _ factor: Int
  ) throws(AtRestError) -> SecretBytes {
    guard factor <= workFactorMax,
      let key = Scrypt.derive(
        passphrase: passphrase, salt: label + salt, logN: factor, count: 32, memoryMax: 3 << 29)
    else { throw AtRestError(.refused, "scrypt work factor \(factor); at most \(workFactorMax) is accepted") }
    return key
  }
}
