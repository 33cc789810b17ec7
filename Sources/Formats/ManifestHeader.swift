// The clear beginning of a manifest: whose snapshot it is, of which position, how large. A list needs nothing else.
//
// The header is associated data of the sealed body and lies under the manifest's signature. The public key in it lets
// anybody check that the file is whole; whether the key is the account's is for the keyring to say.
// Layout: Formats.docc/manifest.md.

public import Base

public struct ManifestHeader: Equatable, Sendable {
  public var account: AccountID
  public var snapshot: SnapshotID
  public var kind: SnapshotKind
  public var createdAt: UnixMicroseconds
  public var position: Position
  public var databasePages: Int
  public var recordings: Int
  /// Original bytes of all recordings.
  public var recordingBytes: UInt64
  /// Bytes that this snapshot added to the archive's packs.
  public var addedBytes: UInt64
  /// Ed25519.
  public var publicKey: [UInt8]
  /// Of the sealed body: 96 random bits.
  public var nonce: [UInt8]
  /// Of the sealed body, its tag included.
  public var bodyBytes: Int

  public static let magic = "KMAN"
  public static let version: UInt16 = 1
  public static let byteCount = 160
  public static let publicKeyBytes = 32
  public static let nonceBytes = 12
  public static let signatureBytes = 64
  /// CRC-32C of the body, signature, CRC-32C of the signature.
  public static let tailBytes = 4 + signatureBytes + 4

  public init(
    account: AccountID, snapshot: SnapshotID, kind: SnapshotKind, createdAt: UnixMicroseconds, position: Position,
    databasePages: Int, recordings: Int, recordingBytes: UInt64, addedBytes: UInt64, publicKey: [UInt8],
    nonce: [UInt8], bodyBytes: Int
  ) {
    self.account = account
    self.snapshot = snapshot
    self.kind = kind
    self.createdAt = createdAt
    self.position = position
    self.databasePages = databasePages
    self.recordings = recordings
    self.recordingBytes = recordingBytes
    self.addedBytes = addedBytes
    self.publicKey = publicKey
    self.nonce = nonce
    self.bodyBytes = bodyBytes
  }

  /// Bytes of the whole file.
  public var fileBytes: Int { Self.byteCount + bodyBytes + Self.tailBytes }

  public func encode() -> [UInt8] {
    precondition(publicKey.count == Self.publicKeyBytes && nonce.count == Self.nonceBytes, "wrong field length")
    var writer = ByteWriter(capacity: Self.byteCount)
    writer.put(raw: Self.magic.utf8)
    writer.put(Self.version)
    writer.put(kind.rawValue)
    writer.put(UInt8(0))
    writer.put(account)
    writer.put(snapshot)
    writer.put(createdAt)
    writer.put(position.epoch)
    writer.put(position.index)
    writer.put(position.checksum)
    writer.put(UInt32(databasePages))
    writer.put(UInt32(recordings))
    writer.put(recordingBytes)
    writer.put(addedBytes)
    writer.put(raw: publicKey)
    writer.put(raw: nonce)
    writer.put(UInt32(bodyBytes))
    writer.put(UInt32(0))
    writer.put(CRC32C.checksum(writer.bytes))
    return writer.bytes
  }

  public init(decoding bytes: ArraySlice<UInt8>) throws(BytesError) {
    var reader = ByteReader(bytes)
    try reader.expect(magic: Self.magic)
    let version = try reader.take(UInt16.self)
    guard version == Self.version else { throw BytesError("manifest version \(version) is unknown", at: 4) }
    guard bytes.count >= Self.byteCount else { throw BytesError("manifest ends early", at: bytes.count) }
    let end = Self.byteCount - 4
    var tail = ByteReader(bytes.dropFirst(end))
    guard try tail.take(UInt32.self) == CRC32C.checksum(Array(bytes.prefix(end))) else {
      throw BytesError("checksum of the manifest's header does not match", at: 0)
    }
    guard let kind = SnapshotKind(rawValue: try reader.take()) else { throw BytesError("unknown snapshot kind", at: 6) }
    let reserved = try reader.take(UInt8.self)
    self.kind = kind
    account = try reader.take()
    snapshot = try reader.take()
    createdAt = try reader.take()
    let (epoch, index): (Epoch, LogIndex) = (try reader.take(), try reader.take())
    position = Position(epoch: epoch, index: index, checksum: try reader.takeChecksum())
    databasePages = Int(try reader.take(UInt32.self))
    recordings = Int(try reader.take(UInt32.self))
    recordingBytes = try reader.take()
    addedBytes = try reader.take()
    publicKey = Array(try reader.take(raw: Self.publicKeyBytes))
    nonce = Array(try reader.take(raw: Self.nonceBytes))
    bodyBytes = Int(try reader.take(UInt32.self))
    guard reserved == 0, try reader.take(UInt32.self) == 0 else {
      throw BytesError("reserved field is not zero", at: 7)
    }
    guard databasePages <= Limits.databasePagesMax else { throw BytesError("too many pages", at: 80) }
    guard bodyBytes <= Limits.manifestBytesMax else { throw BytesError("manifest is too large", at: 148) }
  }
}
