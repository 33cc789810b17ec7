// age files (https://c2sp.org/age, version 1) in memory: X25519 recipients and passphrases. Not armored, no plugins.
//
// For recovery files and exports, so that their holders need no tool of ours. `AgeEncryptor` writes long ones.

package import OpenSSL

package enum Age {
  package static func encrypt(_ plain: [UInt8], to recipients: [String]) throws(AtRestError) -> [UInt8] {
    var encryptor = try AgeEncryptor(recipients: recipients)
    return encryptor.update(plain) + encryptor.finish()
  }

  package static func encrypt(
    _ plain: [UInt8], passphrase: SecretBytes, workFactor: Int = AgeScrypt.standardWorkFactor
  ) throws(AtRestError) -> [UInt8] {
    var encryptor = try AgeEncryptor(passphrase: passphrase, workFactor: workFactor)
    return encryptor.update(plain) + encryptor.finish()
  }

  /// `.wrongKey` when none of the identities, X25519 private keys, opens the file.
  package static func decrypt(_ file: [UInt8], identities: [SecretBytes]) throws(AtRestError) -> [UInt8] {
    let header = try AgeHeader(front: file)
    for stanza in header.stanzas {
      for identity in identities {
        guard let fileKey = try AgeX25519.unwrap(stanza, by: identity) else { continue }
        return try payload(of: file, header, fileKey)
      }
    }
    throw AtRestError(.wrongKey, "the age file is for other recipients")
  }

  /// `.wrongKey` when the passphrase is another one, or the file is not under a passphrase.
  package static func decrypt(_ file: [UInt8], passphrase: SecretBytes) throws(AtRestError) -> [UInt8] {
    let header = try AgeHeader(front: file)
    guard let stanza = header.stanzas.first(where: { $0.type == AgeScrypt.type }) else {
      throw AtRestError(.wrongKey, "the age file is not under a passphrase")
    }
    // Two passphrases would let a file open differently for two people.
    guard header.stanzas.count == 1 else { throw AtRestError(.damaged, "an age file with stanzas beside a passphrase") }
    guard let fileKey = try AgeScrypt.unwrap(stanza, passphrase) else {
      throw AtRestError(.wrongKey, "the passphrase does not open the age file")
    }
    return try payload(of: file, header, fileKey)
  }

  /// A new identity: `AGE-SECRET-KEY-1…`, and its recipient `age1…`.
  package static func generateIdentity() -> (identity: String, recipient: String) {
    let (secret, share) = X25519.generate()
    var copy = secret.copy
    defer { wipe(&copy) }
    return (Bech32.encode(prefix: "age-secret-key-", copy).uppercased(), Bech32.encode(prefix: "age", share))
  }

  /// The recipient that a public X25519 key of 32 bytes is.
  package static func recipient(of publicKey: [UInt8]) -> String { Bech32.encode(prefix: "age", publicKey) }

  /// The identities in the text of an identity file: one a line, comments begin with `#`. `.refused` when a line is
  /// something else, or there is none.
  package static func identities(in text: String) throws(AtRestError) -> [SecretBytes] {
    var found: [SecretBytes] = []
    for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let word = line.filter { !$0.isWhitespace }
      if word.isEmpty || word.hasPrefix("#") { continue }
      guard var decoded = Bech32.decode(word), decoded.prefix == "age-secret-key-", decoded.bytes.count == 32 else {
        throw AtRestError(.refused, "line \(number + 1) is no age identity (AGE-SECRET-KEY-1…)")
      }
      found.append(SecretBytes(wiping: &decoded.bytes))
    }
    guard !found.isEmpty else { throw AtRestError(.refused, "no age identity (AGE-SECRET-KEY-1…)") }
    return found
  }

  static func mac(_ text: [UInt8], _ fileKey: SecretBytes) -> [UInt8] {
    let key = HKDF.derive(key: fileKey, salt: [], info: Array("header".utf8), count: 32)
    return HMACSHA256.authenticate(text.span.bytes, key: key)
  }

  private static func payload(
    of file: [UInt8], _ header: AgeHeader, _ fileKey: SecretBytes
  ) throws(AtRestError) -> [UInt8] {
    guard fileKey.count == 16, constantTimeEqual(mac(header.authenticated, fileKey), header.mac) else {
      throw AtRestError(.damaged, "the age header does not match its MAC")
    }
    var at = header.byteCount + AgeStream.nonceBytes
    guard file.count >= at else { throw AtRestError(.damaged, "an age file without a payload", at: file.count) }
    var stream = AgeStream(fileKey: fileKey, nonce: Array(file[header.byteCount..<at]))
    var plain: [UInt8] = []
    plain.reserveCapacity(file.count - at)
    while true {
      let end = min(at + AgeStream.sealedChunkBytes, file.count)
      guard let chunk = stream.open(Array(file[at..<end]), isLast: end == file.count) else {
        wipe(&plain)
        throw AtRestError(.damaged, "an age payload that is damaged or cut", at: at)
      }
      plain += chunk
      at = end
      if at == file.count { return plain }
    }
  }
}
