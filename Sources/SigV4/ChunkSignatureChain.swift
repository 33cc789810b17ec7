// The chain of signatures over the chunks of one body: each signs the one before, so that chunks can be neither
// changed, left out, swapped nor taken from another request.

internal import Base
internal import OpenSSL

struct ChunkSignatureChain: Sendable {
  private let key: SigningKey
  private let time: SigningTime
  private let scope: CredentialScope
  private var previous: [UInt8]

  private static let emptyHash = SHA256.hash([UInt8]()).hex

  /// `seed` is the signature of the request's head.
  init(key: SigningKey, time: SigningTime, scope: CredentialScope, seed: [UInt8]) {
    self.key = key
    self.time = time
    self.scope = scope
    previous = seed
  }

  /// The next chunk's signature, given the SHA-256 of its bytes.
  mutating func advance(chunkHash: [UInt8]) -> [UInt8] {
    advance("AWS4-HMAC-SHA256-PAYLOAD", [Self.emptyHash, chunkHash.hex])
  }

  /// The trailer's signature, given the SHA-256 of its canonical lines (`name:value\n`).
  mutating func advance(trailerHash: [UInt8]) -> [UInt8] { advance("AWS4-HMAC-SHA256-TRAILER", [trailerHash.hex]) }

  private mutating func advance(_ kind: String, _ rest: [String]) -> [UInt8] {
    previous = key.sign(([kind, time.text, scope.text, previous.hex] + rest).joined(separator: "\n"))
    return previous
  }
}
