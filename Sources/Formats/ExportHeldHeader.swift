// The front of `held.ids`: which recordings an export holds together with those that it goes on from.
//
// Layout: Formats.docc/export.md.

public import Base

public struct ExportHeldHeader: Equatable, Sendable {
  public var account: AccountID
  public var export: ExportID
  /// Ids that follow, of 16 bytes, in rising order; then the SHA-256 of everything before it.
  public var count: UInt64

  public static let magic = "KEXI"
  public static let version: UInt16 = 1
  public static let byteCount = 48
  public static let idBytes = 16
  public static let hashBytes = 32

  public init(account: AccountID, export: ExportID, count: UInt64) {
    self.account = account
    self.export = export
    self.count = count
  }

  public func encode() -> [UInt8] {
    var writer = ByteWriter(capacity: Self.byteCount)
    writer.put(raw: Self.magic.utf8)
    writer.put(Self.version)
    writer.put(UInt16(0))
    writer.put(account)
    writer.put(export)
    writer.put(count)
    return writer.bytes
  }

  /// `fileBytes` is the length of the whole file, which has to fit the count.
  public init(decoding bytes: [UInt8], fileBytes: UInt64) throws(BytesError) {
    var reader = ByteReader(bytes)
    try reader.expect(magic: Self.magic)
    let version = try reader.take(UInt16.self)
    guard version == Self.version else { throw BytesError("version \(version) of an export's list is unknown", at: 4) }
    let reserved = try reader.take(UInt16.self)
    account = try reader.take()
    export = try reader.take()
    count = try reader.take()
    let most = UInt64(Limits.keyringEntriesMax)
    guard reserved == 0, count <= most,
      fileBytes == UInt64(Self.byteCount) + count * UInt64(Self.idBytes) + UInt64(Self.hashBytes)
    else { throw BytesError("the list's length does not fit its count", at: 40) }
    try reader.finish()
  }
}
