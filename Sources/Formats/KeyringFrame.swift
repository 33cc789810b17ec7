// One entry of a keyring as it lies in the file: what the key is for in the open, the key itself sealed.
//
// A frame never crosses the border of a sector, the unit that a disk writes whole or not at all: so a frame is there or
// it is not, and what is neither is damage. The rest of a sector is zeros.

public import Base

public struct KeyringFrame: Sendable, Equatable {
  public static let sectorBytes = 512
  /// Where the first frame lies: behind header and slots, at the start of a sector.
  public static let firstOffset = 4096
  static let overheadBytes = 44
  /// Bytes of the sealed key, its tag included.
  public static let sealedBytesMax = sectorBytes - overheadBytes
  static let sealedBytesMin = 16

  /// What a key is for. Numbers that are not listed are kept and passed over.
  public struct Kind: RawRepresentable, Sendable, Hashable {
    public var rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Wraps the keys of database files.
    public static let pageWrap = Kind(rawValue: 1)
    /// Wraps the keys of the log's epochs.
    public static let logWrap = Kind(rawValue: 2)
    /// Root of the archive's keys.
    public static let archive = Kind(rawValue: 3)
    /// Keyed hash that names chunks of recordings.
    public static let recordingName = Kind(rawValue: 4)
    /// Ed25519, signs manifests and ledgers.
    public static let signing = Kind(rawValue: 5)
    /// X25519, opens what was sent to the account from outside.
    public static let agreement = Kind(rawValue: 6)
    /// One recording; `id` is the recording's.
    public static let recording = Kind(rawValue: 7)
  }

  public var kind: Kind
  /// Place in the file, from 0 without gaps.
  public var number: UInt64
  /// The object that the key belongs to; zeros when there is one per account.
  public var id: [UInt8]
  public var nonce: [UInt8]
  public var sealed: [UInt8]

  public init(kind: Kind, number: UInt64, id: [UInt8], nonce: [UInt8], sealed: [UInt8]) {
    precondition(id.count == 16 && nonce.count == 12)
    precondition((Self.sealedBytesMin...Self.sealedBytesMax).contains(sealed.count))
    self.kind = kind
    self.number = number
    self.id = id
    self.nonce = nonce
    self.sealed = sealed
  }

  public var byteCount: Int { Self.overheadBytes + sealed.count }

  /// What the seal is bound to: the account and what the key is for. The number is left out, so that a rewritten file
  /// keeps its entries without sealing them again.
  public func binding(_ account: AccountID) -> [UInt8] {
    var w = ByteWriter(capacity: 40)
    w.put(raw: KeyringHeader.magic)
    w.put(KeyringHeader.version)
    w.put(account)
    w.put(kind.rawValue)
    w.put(raw: id)
    return w.bytes
  }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: byteCount)
    w.put(UInt16(byteCount))
    w.put(kind.rawValue)
    w.put(number)
    w.put(raw: id)
    w.put(raw: nonce)
    w.put(raw: sealed)
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  /// Reads the frame at the front of `bytes`; nil when there is no whole one.
  public init?(front bytes: ArraySlice<UInt8>) {
    var r = ByteReader(bytes)
    do throws(BytesError) {
      let length = Int(try r.take(UInt16.self))
      let sealedBytes = length - Self.overheadBytes
      guard (Self.sealedBytesMin...Self.sealedBytesMax).contains(sealedBytes), length <= bytes.count else { return nil }
      kind = Kind(rawValue: try r.take())
      number = try r.take()
      id = Array(try r.take(raw: 16))
      nonce = Array(try r.take(raw: 12))
      sealed = Array(try r.take(raw: sealedBytes))
      guard try r.take(UInt32.self) == CRC32C.checksum(Array(bytes.prefix(length - 4))) else { return nil }
    } catch {
      return nil
    }
  }

  /// Gives the frame of `count` bytes at `start` another number; the seal does not depend on it.
  public static func renumber(_ bytes: inout [UInt8], at start: Int, count: Int, _ number: UInt64) {
    for i in 0..<8 { bytes[start + 4 + i] = UInt8(truncatingIfNeeded: number >> UInt64(8 * i)) }
    let checksum = unsafe CRC32C.checksum(bytes.span.bytes.extracting(start..<(start + count - 4)))
    for i in 0..<4 { bytes[start + count - 4 + i] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * i)) }
  }

  /// Where a frame of `bytes` goes when the last one ends at `end`.
  public static func place(_ bytes: Int, after end: UInt64) -> UInt64 {
    let sector = UInt64(sectorBytes)
    let left = sector - end % sector
    return UInt64(bytes) <= left ? end : end + left
  }
}
