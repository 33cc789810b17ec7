// Writes an age file piece by piece: what comes out is to be written in order.

package import OpenSSL

package struct AgeEncryptor {
  private var stream: AgeStream
  private var waiting: [UInt8] = []
  private var start: [UInt8]

  /// To X25519 recipients, `age1…`; any one of them opens the file.
  package init(recipients: [String]) throws(AtRestError) {
    guard !recipients.isEmpty else { throw AtRestError(.refused, "no recipient") }
    let fileKey = SecretBytes.random(16)
    var stanzas: [AgeHeader.Stanza] = []
    for recipient in recipients { stanzas.append(try AgeX25519.wrap(fileKey, to: recipient)) }
    self.init(fileKey: fileKey, stanzas)
  }

  /// Under a passphrase; `workFactor` is the exponent of scrypt's N (18 is age's own: about a second, 256 MiB).
  package init(passphrase: SecretBytes, workFactor: Int = AgeScrypt.standardWorkFactor) throws(AtRestError) {
    let fileKey = SecretBytes.random(16)
    self.init(fileKey: fileKey, [try AgeScrypt.wrap(fileKey, passphrase, workFactor: workFactor)])
  }

  private init(fileKey: SecretBytes, _ stanzas: [AgeHeader.Stanza]) {
    let text = AgeHeader.text(stanzas)
    let nonce = SystemRandom.bytes(AgeStream.nonceBytes)
    start = text + [32] + AgeBase64.encode(Age.mac(text, fileKey)) + [10] + nonce
    stream = AgeStream(fileKey: fileKey, nonce: nonce)
  }

  /// The next bytes of the file, none while a chunk fills up.
  package mutating func update(_ plain: [UInt8]) -> [UInt8] {
    waiting += plain
    var output = start
    start = []
    var at = 0
    // A full chunk waits for what follows: only then is it known not to be the last.
    while waiting.count - at > AgeStream.chunkBytes {
      output += stream.seal(Array(waiting[at..<(at + AgeStream.chunkBytes)]), isLast: false)
      at += AgeStream.chunkBytes
    }
    waiting.removeFirst(at)
    return output
  }

  /// The last bytes of the file. Called once.
  package mutating func finish() -> [UInt8] {
    let output = start + stream.seal(waiting, isLast: true)
    wipe(&waiting)
    return output
  }
}
