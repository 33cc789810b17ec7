// The head of a volume: an account's file of recording chunks. Entries follow; each is a chunk's frame and a checksum.

public import Base

public struct VolumeHeader: Sendable, Equatable {
  public static let byteCount = 64
  static let version: UInt16 = 1
  public var account: AccountID
  public var number: UInt32

  public init(account: AccountID, number: UInt32) {
    self.account = account
    self.number = number
  }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: Self.byteCount)
    w.put(raw: "KVOL".utf8)
    w.put(Self.version)
    w.put(UInt16(0))
    w.put(account)
    w.put(number)
    w.put(raw: [UInt8](repeating: 0, count: Self.byteCount - 4 - w.bytes.count))
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    guard bytes.count == Self.byteCount else {
      throw FormatError(.truncated, "the volume ends in its header", at: bytes.count)
    }
    guard bytes[..<4].elementsEqual("KVOL".utf8) else { throw FormatError(.foreign, "not a volume") }
    guard bytes[4] == UInt8(Self.version), bytes[5] == 0 else {
      throw FormatError(.version, "unknown volume version", at: 4)
    }
    account = AccountID(bytes: bytes[8..<24])
    number = bytes[24..<28].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    guard encode() == bytes else { throw FormatError(.damaged, "the volume's header does not match its checksum") }
  }

  /// `000001.kvol` and so on.
  public static func fileName(_ number: UInt32) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 6 - digits.count)) + digits + ".kvol"
  }
}

/// One entry: the frame of a chunk, then its CRC-32C (4 bytes), so that damage is found without a key.
public enum VolumeEntry {
  public static let checksumBytes = 4

  /// Nothing is copied when `frame` has room for the checksum.
  public static func encode(_ frame: consuming [UInt8]) -> [UInt8] {
    let checksum = CRC32C.checksum(frame)
    for shift in stride(from: UInt32(0), to: 32, by: 8) { frame.append(UInt8(truncatingIfNeeded: checksum >> shift)) }
    return frame
  }

  /// The frame of a whole entry.
  public static func decode(_ bytes: [UInt8]) throws(FormatError) -> [UInt8] {
    guard bytes.count > checksumBytes else {
      throw FormatError(.truncated, "an entry that ends early", at: bytes.count)
    }
    let frame = Array(bytes.dropLast(checksumBytes))
    let stored = bytes.suffix(checksumBytes).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    guard CRC32C.checksum(frame) == stored else {
      throw FormatError(.damaged, "a recording chunk does not match its checksum")
    }
    return frame
  }
}
