// How far the verification of an archive has come (`verify-cursor.md`): the next run goes on there. A damaged one costs a
// round, nothing else.

public import Base

public struct VerifyCursor: Sendable, Equatable {
  static let magic = "KVCR"
  static let version: UInt16 = 1
  public static let fileName = "verify.kvcr"
  public static let byteCount = 104

  public var account: AccountID
  /// When the round began; 0 before the first one.
  public var begun: UnixMicroseconds = 0
  /// The first place that the round has not read: packs in the order of their ids, then offsets.
  public var pack = PackID(bits: 0)
  public var offset: UInt32 = 0
  /// What the round has read.
  public var chunks: UInt64 = 0
  public var bytes: UInt64 = 0
  public var damaged: UInt64 = 0
  /// Where the next sample begins, as a part of 2^64 of all chunks.
  public var sampleAt: UInt64 = 0
  /// The last round that was finished; 0 for none.
  public var lastBegun: UnixMicroseconds = 0
  public var lastEnded: UnixMicroseconds = 0

  public init(account: AccountID) { self.account = account }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: Self.byteCount)
    w.put(raw: Self.magic.utf8)
    w.put(Self.version)
    w.put(UInt16(0))
    w.put(account)
    w.put(begun)
    w.put(pack)
    w.put(offset)
    w.put(chunks)
    w.put(bytes)
    w.put(damaged)
    w.put(sampleAt)
    w.put(lastBegun)
    w.put(lastEnded)
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    guard bytes.count >= 6, bytes[..<4].elementsEqual(Self.magic.utf8) else {
      throw FormatError(.foreign, "not a verification's cursor")
    }
    guard bytes[4] == UInt8(Self.version), bytes[5] == 0 else {
      throw FormatError(.version, "a cursor of an unknown version", at: 4)
    }
    var r = ByteReader(bytes)
    do throws(BytesError) {
      _ = try r.take(raw: 6)
      guard try r.take(UInt16.self) == 0 else { throw BytesError("a reserved field is not zero", at: 6) }
      account = try r.take(id: AccountID.self)
      begun = try r.take()
      pack = try r.take(id: PackID.self)
      offset = try r.take()
      chunks = try r.take()
      self.bytes = try r.take()
      damaged = try r.take()
      sampleAt = try r.take()
      lastBegun = try r.take()
      lastEnded = try r.take()
      let checksum: UInt32 = try r.take()
      try r.finish()
      guard checksum == CRC32C.checksum(Array(bytes.dropLast(4))) else {
        throw BytesError("the cursor does not match its checksum", at: bytes.count - 4)
      }
    } catch { throw FormatError(.damaged, error.message, at: error.offset) }
  }
}
