// How far a keyring is known to be durable. Two slots, each a sector of its own, are written in turn.
//
// What lies before `syncedBytes` and does not parse is damage. What lies behind it may be the torn end of a write that
// nobody was told about.

import Base

public struct KeyringSlot: Sendable, Equatable {
  public static let byteCount = 512
  /// Where the slots lie: behind the header.
  public static let offsets = [KeyringHeader.byteCount, KeyringHeader.byteCount + byteCount]
  static let magic = Array("KSLT".utf8)

  public var fileID: [UInt8]
  /// Grows with every write; the greater of two whole slots counts.
  public var sequence: UInt64
  /// Length of the file up to which every frame was synced.
  public var syncedBytes: UInt64

  public init(fileID: [UInt8], sequence: UInt64, syncedBytes: UInt64) {
    self.fileID = fileID
    self.sequence = sequence
    self.syncedBytes = syncedBytes
  }

  /// Where this slot is written.
  public var offset: Int { Self.offsets[Int(sequence % 2)] }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: Self.byteCount)
    w.put(raw: Self.magic)
    w.put(UInt32(0))
    w.put(raw: fileID)
    w.put(sequence)
    w.put(syncedBytes)
    w.put(raw: [UInt8](repeating: 0, count: Self.byteCount - 4 - w.bytes.count))
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  /// Reads the slot of a file whose header has `fileID`; nil when it is not whole.
  public init?(_ bytes: [UInt8], fileID: [UInt8]) {
    guard bytes.count == Self.byteCount, Array(bytes[..<4]) == Self.magic, Array(bytes[8..<24]) == fileID else {
      return nil
    }
    var r = ByteReader(bytes)
    do throws(BytesError) {
      _ = try r.take(raw: 24)
      self.fileID = fileID
      sequence = try r.take()
      syncedBytes = try r.take()
      _ = try r.take(raw: Self.byteCount - 4 - r.offset)
      guard try r.take(UInt32.self) == CRC32C.checksum(Array(bytes[..<(Self.byteCount - 4)])) else { return nil }
    } catch {
      return nil
    }
  }
}
