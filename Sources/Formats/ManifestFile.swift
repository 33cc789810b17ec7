// A whole manifest: header, sealed body, checksum, signature, checksum. Every byte lies under a CRC-32C, so damage is
// found without a key, and under the signature, so forgery is found with the account's public key.
//
// Sealing and signing are done elsewhere; this only puts the parts together and takes them apart.
// Layout: Formats.docc/manifest.md.

public import Base

public struct ManifestFile: Equatable, Sendable {
  public var header: ManifestHeader
  /// Cipher text and tag.
  public var body: [UInt8]
  public var signature: [UInt8]

  /// What the signature is made over.
  public static func signedBytes(header: ManifestHeader, body: [UInt8]) -> [UInt8] {
    precondition(header.bodyBytes == body.count, "the header must name the body's length")
    var bytes = header.encode()
    bytes.append(contentsOf: body)
    var checksum = ByteWriter(capacity: 4)
    checksum.put(CRC32C.checksum(body))
    bytes.append(contentsOf: checksum.bytes)
    return bytes
  }

  public init(header: ManifestHeader, body: [UInt8], signature: [UInt8]) {
    precondition(signature.count == ManifestHeader.signatureBytes, "a signature has 64 bytes")
    self.header = header
    self.body = body
    self.signature = signature
  }

  public var signedBytes: [UInt8] { Self.signedBytes(header: header, body: body) }

  public func encode() -> [UInt8] {
    var writer = ByteWriter(capacity: 72)
    writer.put(raw: signature)
    writer.put(CRC32C.checksum(signature))
    return signedBytes + writer.bytes
  }

  public init(decoding bytes: [UInt8]) throws(BytesError) {
    header = try ManifestHeader(decoding: bytes.prefix(ManifestHeader.byteCount))
    guard bytes.count == header.fileBytes else {
      throw BytesError("manifest has \(bytes.count) bytes instead of \(header.fileBytes)", at: bytes.count)
    }
    var reader = ByteReader(bytes[ManifestHeader.byteCount...])
    body = Array(try reader.take(raw: header.bodyBytes))
    guard try reader.take(UInt32.self) == CRC32C.checksum(body) else {
      throw BytesError("checksum of the manifest's body does not match", at: ManifestHeader.byteCount)
    }
    signature = Array(try reader.take(raw: ManifestHeader.signatureBytes))
    guard try reader.take(UInt32.self) == CRC32C.checksum(signature) else {
      throw BytesError("checksum of the manifest's signature does not match", at: bytes.count - 68)
    }
    try reader.finish()
  }
}
