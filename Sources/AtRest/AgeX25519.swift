// age's X25519 recipients: the file key sealed under a key agreed between a throw-away pair and the recipient's.

import OpenSSL

enum AgeX25519 {
  static let type = "X25519"
  private static let info = Array("age-encryption.org/v1/X25519".utf8)
  private static let noNonce = [UInt8](repeating: 0, count: ChaCha20Poly1305.nonceBytes)

  static func wrap(_ fileKey: SecretBytes, to recipient: String) throws(AtRestError) -> AgeHeader.Stanza {
    guard let (prefix, peer) = Bech32.decode(recipient), prefix == "age", peer.count == 32 else {
      throw AtRestError(.refused, "not an age recipient (age1…)")
    }
    let (secret, share) = X25519.generate()
    guard let key = key(secret, peer: peer, share: share, recipient: peer) else {
      throw AtRestError(.refused, "the age recipient is no usable key")
    }
    var plain = fileKey.copy
    defer { wipe(&plain) }
    let body = ChaCha20Poly1305(key: key).seal(plain, nonce: noNonce, aad: [])
    return AgeHeader.Stanza(type: type, arguments: [text(AgeBase64.encode(share))], body: body)
  }

  /// Nil when the stanza is for somebody else.
  static func unwrap(_ stanza: AgeHeader.Stanza, by identity: SecretBytes) throws(AtRestError) -> SecretBytes? {
    guard stanza.type == type else { return nil }
    guard stanza.arguments.count == 1, let share = AgeBase64.decode(stanza.arguments[0].utf8), share.count == 32,
      stanza.body.count == 32
    else { throw AtRestError(.damaged, "an age stanza that is not well-formed") }
    let own = X25519.publicKey(of: identity)
    guard let key = key(identity, peer: share, share: share, recipient: own) else {
      throw AtRestError(.damaged, "an age stanza with an unusable key")
    }
    guard var plain = ChaCha20Poly1305(key: key).open(stanza.body, nonce: noNonce, aad: []) else { return nil }
    return SecretBytes(wiping: &plain)
  }

  private static func key(
    _ secret: SecretBytes, peer: [UInt8], share: [UInt8], recipient: [UInt8]
  ) -> SecretBytes? {
    X25519.shared(private: secret, public: peer).map {
      HKDF.derive(key: $0, salt: share + recipient, info: info, count: 32)
    }
  }

  private static func text(_ ascii: [UInt8]) -> String { String(decoding: ascii, as: UTF8.self) }
}
