// The file beside a manifest that says its snapshot was restored whole and compared: `<manifest>.proof`.
//
// It repeats the manifest's signature, so it proves this manifest and no other, and is signed with the same key. Since
// version 2 it also says which frames in the packs were decoded; a proof of version 1 says nothing of them.
// Layout: Formats.docc/manifest.md.

public import Base

public struct SnapshotProof: Equatable, Sendable {
  public var account: AccountID
  public var snapshot: SnapshotID
  public var provenAt: UnixMicroseconds
  /// Chunks read back and compared.
  public var chunks: UInt64
  /// Bytes of them in packs.
  public var bytes: UInt64
  /// The manifest's own signature.
  public var manifestSignature: [UInt8]
  /// Nil in a proof of version 1.
  public var frames: ProvenFrames?

  public static let magic = "KPRF"
  private static let plainByteCount = 128
  private static let tailBytes = ManifestHeader.signatureBytes + 4
  /// The longest one: with frames, the signature and the checksum.
  public static let byteCountMax = plainByteCount + ProvenFrames.byteCount + tailBytes

  private var version: UInt16 { frames == nil ? 1 : 2 }

  public init(
    account: AccountID, snapshot: SnapshotID, provenAt: UnixMicroseconds, chunks: UInt64, bytes: UInt64,
    manifestSignature: [UInt8], frames: ProvenFrames? = nil
  ) {
    self.frames = frames
    self.account = account
    self.snapshot = snapshot
    self.provenAt = provenAt
    self.chunks = chunks
    self.bytes = bytes
    self.manifestSignature = manifestSignature
  }

  /// What the proof's signature is made over.
  public var signedBytes: [UInt8] {
    precondition(manifestSignature.count == ManifestHeader.signatureBytes, "a signature has 64 bytes")
    var writer = ByteWriter(capacity: Self.byteCountMax)
    writer.put(raw: Self.magic.utf8)
    writer.put(version)
    writer.put(UInt16(0))
    writer.put(account)
    writer.put(snapshot)
    writer.put(provenAt)
    writer.put(chunks)
    writer.put(bytes)
    writer.put(raw: manifestSignature)
    frames?.put(into: &writer)
    return writer.bytes
  }

  public func encode(signature: [UInt8]) -> [UInt8] {
    precondition(signature.count == ManifestHeader.signatureBytes, "a signature has 64 bytes")
    var writer = ByteWriter(capacity: Self.byteCountMax)
    writer.put(raw: signedBytes)
    writer.put(raw: signature)
    writer.put(CRC32C.checksum(writer.bytes))
    return writer.bytes
  }

  public static func decode(_ bytes: [UInt8]) throws(BytesError) -> (proof: SnapshotProof, signature: [UInt8]) {
    var reader = ByteReader(bytes)
    try reader.expect(magic: magic)
    let version = try reader.take(UInt16.self)
    guard version == 1 || version == 2 else { throw BytesError("proof version \(version) is unknown", at: 4) }
    let signedBytes = plainByteCount + (version == 2 ? ProvenFrames.byteCount : 0)
    guard bytes.count == signedBytes + tailBytes else { throw BytesError("proof has another length", at: bytes.count) }
    var tail = ByteReader(bytes[(bytes.count - 4)...])
    guard try tail.take(UInt32.self) == CRC32C.checksum(Array(bytes[..<(bytes.count - 4)])) else {
      throw BytesError("checksum of the proof does not match", at: 0)
    }
    guard try reader.take(UInt16.self) == 0 else { throw BytesError("reserved field is not zero", at: 6) }
    var proof = SnapshotProof(
      account: try reader.take(), snapshot: try reader.take(), provenAt: try reader.take(), chunks: try reader.take(),
      bytes: try reader.take(), manifestSignature: Array(try reader.take(raw: ManifestHeader.signatureBytes)))
    if version == 2 { proof.frames = try ProvenFrames(from: &reader) }
    return (proof, Array(try reader.take(raw: ManifestHeader.signatureBytes)))
  }
}
