// What the recovery file of one account says once it is opened. The file itself is an age file, so that it can be opened
// with the `age` tool too; the bytes are described in Formats.docc/recovery.md.

public import Base

public struct RecoveryContents: Sendable {
  static let magic = Array("KRCV".utf8)
  static let version: UInt16 = 1
  public static let byteCount = 4 + 2 + 2 + 16 + 8 + 32 + 4

  public var account: AccountID
  /// When it was written.
  public var at: UnixMicroseconds
  /// 32 bytes; opens the account's keyring.
  public var accountKey: [UInt8]

  public init(account: AccountID, at: UnixMicroseconds, accountKey: [UInt8]) {
    precondition(accountKey.count == 32)
    self.account = account
    self.at = at
    self.accountKey = accountKey
  }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: Self.byteCount)
    w.put(raw: Self.magic)
    w.put(Self.version)
    w.put(UInt16(0))
    w.put(account)
    w.put(at)
    w.put(raw: accountKey)
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    guard bytes.count >= 6, Array(bytes[..<4]) == Self.magic else { throw FormatError(.foreign, "not a recovery file") }
    var r = ByteReader(bytes)
    do throws(BytesError) {
      _ = try r.take(raw: 4)
      let version: UInt16 = try r.take()
      let reserved: UInt16 = try r.take()
      account = try r.take()
      at = try r.take()
      accountKey = Array(try r.take(raw: 32))
      let checksum: UInt32 = try r.take()
      try r.finish()
      guard version == Self.version else { throw BytesError("recovery file version \(version)", at: 4) }
      guard reserved == 0, checksum == CRC32C.checksum(Array(bytes[..<(Self.byteCount - 4)])) else {
        throw BytesError("the recovery file does not match its checksum", at: 0)
      }
    } catch {
      throw FormatError(error.offset == 4 ? .version : .damaged, error.message, at: error.offset)
    }
  }
}
