// The file that holds a node's key-encryption key of 32 bytes.

import Base

public struct KeyringKeyFile: Sendable {
  static let magic = Array("KKEK".utf8)
  static let version: UInt16 = 1
  public static let byteCount = 4 + 2 + 2 + 32 + 4

  public var key: [UInt8]

  public init(key: [UInt8]) {
    precondition(key.count == 32)
    self.key = key
  }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: Self.byteCount)
    w.put(raw: Self.magic)
    w.put(Self.version)
    w.put(UInt16(0))
    w.put(raw: key)
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    guard bytes.count >= 4, Array(bytes[..<4]) == Self.magic else { throw FormatError(.foreign, "not a key file") }
    var r = ByteReader(bytes)
    do throws(BytesError) {
      _ = try r.take(raw: 4)
      let version: UInt16 = try r.take()
      let reserved: UInt16 = try r.take()
      key = Array(try r.take(raw: 32))
      let checksum: UInt32 = try r.take()
      try r.finish()
      guard version == Self.version else { throw BytesError("key file version \(version)", at: 4) }
      guard reserved == 0, checksum == CRC32C.checksum(Array(bytes[..<(Self.byteCount - 4)])) else {
        throw BytesError("the key file does not match its checksum", at: 0)
      }
    } catch {
      throw FormatError(error.offset == 4 ? .version : .damaged, error.message, at: error.offset)
    }
  }
}
