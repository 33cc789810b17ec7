// The file beside a node's data from which a passphrase becomes its key-encryption key: Argon2id's parameters.
//
// Bounded when read, so that a changed file cannot make a node spend hours or all its memory.

import Base

public struct KeyringPassphrase: Sendable, Equatable {
  static let magic = Array("KPAS".utf8)
  static let version: UInt16 = 1
  public static let byteCount = 4 + 2 + 2 + 4 + 4 + 4 + 16 + 8 + 4
  public static let memoryKiB = 8 << 10...4 << 20
  public static let passes = 1...64
  public static let lanes = 1...16

  public var memoryKiB: UInt32
  public var passes: UInt32
  public var lanes: UInt32
  public var salt: [UInt8]
  /// First bytes of a hash of the derived key: tells a wrong passphrase at once.
  public var check: [UInt8]

  public init(memoryKiB: UInt32, passes: UInt32, lanes: UInt32, salt: [UInt8], check: [UInt8]) {
    precondition(salt.count == 16 && check.count == 8)
    self.memoryKiB = memoryKiB
    self.passes = passes
    self.lanes = lanes
    self.salt = salt
    self.check = check
  }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: Self.byteCount)
    w.put(raw: Self.magic)
    w.put(Self.version)
    w.put(UInt16(0))
    w.put(memoryKiB)
    w.put(passes)
    w.put(lanes)
    w.put(raw: salt)
    w.put(raw: check)
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    guard bytes.count >= 4, Array(bytes[..<4]) == Self.magic else {
      throw FormatError(.foreign, "not a file of passphrase parameters")
    }
    var r = ByteReader(bytes)
    do throws(BytesError) {
      _ = try r.take(raw: 4)
      let version: UInt16 = try r.take()
      let reserved: UInt16 = try r.take()
      memoryKiB = try r.take()
      passes = try r.take()
      lanes = try r.take()
      salt = Array(try r.take(raw: 16))
      check = Array(try r.take(raw: 8))
      let checksum: UInt32 = try r.take()
      try r.finish()
      guard version == Self.version else { throw BytesError("passphrase parameters of version \(version)", at: 4) }
      guard reserved == 0, checksum == CRC32C.checksum(Array(bytes[..<(Self.byteCount - 4)])) else {
        throw BytesError("the passphrase parameters do not match their checksum", at: 0)
      }
    } catch {
      throw FormatError(error.offset == 4 ? .version : .damaged, error.message, at: error.offset)
    }
    guard Self.memoryKiB.contains(Int(memoryKiB)), Self.passes.contains(Int(passes)), Self.lanes.contains(Int(lanes))
    else { throw FormatError(.limit, "passphrase parameters outside the accepted bounds", at: 8) }
  }
}
