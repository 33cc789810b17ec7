// The payload of an age file: chunks of 64 KiB, each sealed with its number and whether it is the last (STREAM, Hoang,
// Reyhanitabar, Rogaway and Vizár 2015). Cutting, swapping and appending chunks are all noticed.

import OpenSSL

struct AgeStream: Sendable {
  static let chunkBytes = 64 << 10
  static let sealedChunkBytes = chunkBytes + ChaCha20Poly1305.tagBytes
  static let nonceBytes = 16
  private let cipher: ChaCha20Poly1305
  private var number: UInt64 = 0

  /// `nonce` are the 16 bytes that follow the header.
  init(fileKey: SecretBytes, nonce: [UInt8]) {
    cipher = ChaCha20Poly1305(key: HKDF.derive(key: fileKey, salt: nonce, info: Array("payload".utf8), count: 32))
  }

  mutating func seal(_ chunk: [UInt8], isLast: Bool) -> [UInt8] {
    precondition(chunk.count == Self.chunkBytes || isLast && chunk.count < Self.chunkBytes)
    defer { number += 1 }
    return cipher.seal(chunk, nonce: Self.nonce(number, isLast), aad: [])
  }

  /// Nil when it is not the next chunk. An empty chunk is only taken as the whole of an empty payload.
  mutating func open(_ chunk: [UInt8], isLast: Bool) -> [UInt8]? {
    guard let plain = open(chunk, number: number, isLast: isLast) else { return nil }
    number += 1
    return plain
  }

  /// The same of any chunk.
  func open(_ chunk: [UInt8], number: UInt64, isLast: Bool) -> [UInt8]? {
    guard let plain = cipher.open(chunk, nonce: Self.nonce(number, isLast), aad: []) else { return nil }
    return plain.isEmpty && number > 0 ? nil : plain
  }

  private static func nonce(_ number: UInt64, _ isLast: Bool) -> [UInt8] {
    [0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - 8 * $0)) } + [isLast ? 1 : 0]
  }
}
