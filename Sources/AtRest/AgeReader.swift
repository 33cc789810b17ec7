// Reads an age file at any place, a chunk of 64 KiB at a time: for files that are too long to be opened as a whole, and
// for readers that begin in the middle. Its header and its length are looked at once.
//
// Each chunk is proven by itself, with its number and whether it is the last; so what was cut off shows when the last
// one is read, as the length says where it is.

package import OpenSSL

package struct AgeReader: Sendable {
  /// Of what is inside.
  package let byteCount: UInt64
  private let stream: AgeStream
  private let payloadAt: UInt64
  private let fileBytes: UInt64

  /// How much of a file's front `init` may need.
  package static let frontBytes = AgeHeader.bytesMax + AgeStream.nonceBytes
  /// Inside one chunk, but for the last.
  package static let chunkBytes = AgeStream.chunkBytes

  /// `front` are the file's first `frontBytes`, or all of it. `.wrongKey` when `identity`, an X25519 private key, opens
  /// none of its stanzas.
  package init(front: [UInt8], fileBytes: UInt64, identity: SecretBytes) throws(AtRestError) {
    let header = try AgeHeader(front: front)
    var found: SecretBytes?
    for stanza in header.stanzas where found == nil { found = try AgeX25519.unwrap(stanza, by: identity) }
    guard let fileKey = found else { throw AtRestError(.wrongKey, "the age file is for other recipients") }
    let end = header.byteCount + AgeStream.nonceBytes
    guard fileKey.count == 16, constantTimeEqual(Age.mac(header.authenticated, fileKey), header.mac) else {
      throw AtRestError(.damaged, "the age header does not match its MAC")
    }
    guard front.count >= end, fileBytes >= UInt64(end + AgeStream.sealedChunkBytes - AgeStream.chunkBytes) else {
      throw AtRestError(.damaged, "an age file without a payload", at: front.count)
    }
    stream = AgeStream(fileKey: fileKey, nonce: Array(front[header.byteCount..<end]))
    payloadAt = UInt64(end)
    self.fileBytes = fileBytes
    let (sealed, tag) = (UInt64(AgeStream.sealedChunkBytes), UInt64(AgeStream.sealedChunkBytes - AgeStream.chunkBytes))
    let payload = fileBytes - UInt64(end)
    let chunks = (payload + sealed - 1) / sealed
    guard payload - (chunks - 1) * sealed >= tag else {
      throw AtRestError(.damaged, "an age payload that is damaged or cut", at: Int(clamping: fileBytes))
    }
    byteCount = payload - chunks * tag
  }

  /// Where chunk `number` lies in the file.
  package func place(of number: UInt64) -> Range<UInt64> {
    let start = min(payloadAt + number * UInt64(AgeStream.sealedChunkBytes), fileBytes)
    return start..<min(start + UInt64(AgeStream.sealedChunkBytes), fileBytes)
  }

  /// The content of chunk `number`, whose bytes in the file are `sealed`.
  package func open(_ sealed: [UInt8], number: UInt64) throws(AtRestError) -> [UInt8] {
    let place = place(of: number)
    guard let plain = stream.open(sealed, number: number, isLast: place.upperBound == fileBytes) else {
      throw AtRestError(.damaged, "an age payload that is damaged or cut", at: Int(clamping: place.lowerBound))
    }
    return plain
  }
}
