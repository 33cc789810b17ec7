// The first bytes of a pack: which account's archive it belongs to and which pack it is.
//
// Layout: Formats.docc/pack.md. The ids are not secret; a chunk's seal binds the account, so a pack that is carried
// into another account's archive opens nothing there.

public import Base

public struct PackHeader: Equatable, Sendable {
  public var account: AccountID
  public var pack: PackID

  public static let magic = "KPAK"
  public static let version: UInt16 = 1
  public static let byteCount = 48

  public init(account: AccountID, pack: PackID) {
    self.account = account
    self.pack = pack
  }

  public func encode() -> [UInt8] {
    var writer = ByteWriter(capacity: Self.byteCount)
    writer.put(raw: Self.magic.utf8)
    writer.put(Self.version)
    writer.put(UInt16(0))
    writer.put(account)
    writer.put(pack)
    writer.put(UInt32(0))
    writer.put(CRC32C.checksum(writer.bytes))
    return writer.bytes
  }

  public init(decoding bytes: ArraySlice<UInt8>) throws(BytesError) {
    var reader = ByteReader(bytes)
    try reader.expect(magic: Self.magic)
    let version = try reader.take(UInt16.self)
    guard version == Self.version else { throw BytesError("pack version \(version) is unknown", at: 4) }
    let flags = try reader.take(UInt16.self)
    account = try reader.take()
    pack = try reader.take()
    let reserved = try reader.take(UInt32.self)
    guard flags == 0, reserved == 0 else { throw BytesError("reserved fields of the pack header are not zero", at: 6) }
    let end = reader.offset
    let checksum = try reader.take(UInt32.self)
    guard checksum == CRC32C.checksum(Array(bytes.prefix(end))) else {
      throw BytesError("checksum of the pack header does not match", at: 0)
    }
    try reader.finish()
  }
}

/// One pack of one archive; its file is `packs/<id>.kpak`.
public struct PackID: OpaqueID {
  // Two words, as the other ids: see Base/Identifiers.swift.
  private let high: UInt64
  private let low: UInt64
  public init(bits: UInt128) {
    high = UInt64(truncatingIfNeeded: bits >> 64)
    low = UInt64(truncatingIfNeeded: bits)
  }
  public var bits: UInt128 { UInt128(high) << 64 | UInt128(low) }
}
