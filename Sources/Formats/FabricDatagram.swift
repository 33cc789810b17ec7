// The clear head of a sealed datagram. Layout: Formats.docc/fabric.md.
//
// It says which key, whose, and when; all of it is bound to the seal as associated data. Sizes are limited before a
// field is read.

public import Base

public struct FabricDatagram: Equatable, Sendable {
  /// Which key of the ring.
  public var key: UInt32
  public var sender: NodeID
  /// Drawn by the sender at its start; part of the derived key, so that no nonce ever serves twice.
  public var salt: UInt64
  /// Microseconds since 1970 of the sender's clock, made strictly rising: nonce, age and place in the replay window.
  public var sequence: UInt64

  public static let mark: UInt8 = 0x4b
  public static let version: UInt8 = 1
  public static let headBytes = 38
  public static let tagBytes = 16
  /// Head and tag: what a seal adds.
  public static let overhead = headBytes + tagBytes
  /// Payload of an Ethernet frame without the heads of IPv6 and UDP; a longer one is refused unread.
  public static let bytesMax = 1452
  public static let plainBytesMax = bytesMax - overhead

  public init(key: UInt32, sender: NodeID, salt: UInt64, sequence: UInt64) {
    self.key = key
    self.sender = sender
    self.salt = salt
    self.sequence = sequence
  }

  public func encode() -> [UInt8] {
    var writer = ByteWriter(capacity: Self.bytesMax)
    writer.put(Self.mark)
    writer.put(Self.version)
    writer.put(key)
    writer.put(sender)
    writer.put(salt)
    writer.put(sequence)
    return writer.bytes
  }

  /// Reads the head; what follows is not looked at.
  public init(decoding bytes: ArraySlice<UInt8>) throws(BytesError) {
    var reader = ByteReader(bytes)
    let mark = try reader.take(UInt8.self)
    let version = try reader.take(UInt8.self)
    guard mark == Self.mark, version == Self.version else { throw BytesError("not a datagram of this version", at: 0) }
    key = try reader.take()
    sender = try reader.take()
    salt = try reader.take()
    sequence = try reader.take()
  }
}
