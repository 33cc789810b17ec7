// What opens a bulk transfer: the caller's request and the server's head; the bytes follow it. Layout:
// Formats.docc/fabric.md.

public import Base

/// The whole of the caller's half of the stream.
public struct FabricBulkRequest: Equatable, Sendable {
  /// What is wanted; its meaning is the method's.
  public var name: [UInt8]
  public var offset: UInt64
  /// What the caller has bytes of already; empty at the first attempt.
  public var validator: [UInt8]

  public static let nameBytesMax = 32 << 10
  public static let validatorBytesMax = 64
  public static let bytesMax = 10 + validatorBytesMax + nameBytesMax
  static let version: UInt8 = 1

  public init(name: [UInt8], offset: UInt64, validator: [UInt8]) {
    self.name = name
    self.offset = offset
    self.validator = validator
  }

  public func encode() -> [UInt8] {
    precondition(validator.count <= Self.validatorBytesMax && name.count <= Self.nameBytesMax, "checked by the caller")
    var writer = ByteWriter(capacity: 10 + validator.count + name.count)
    writer.put(Self.version)
    writer.put(UInt8(validator.count))
    writer.put(offset)
    writer.put(raw: validator)
    writer.put(raw: name)
    return writer.bytes
  }

  public init(decoding bytes: ArraySlice<UInt8>) throws(BytesError) {
    var reader = ByteReader(bytes)
    guard try reader.take(UInt8.self) == Self.version else { throw BytesError("unknown version", at: 0) }
    let count = Int(try reader.take(UInt8.self))
    guard count <= Self.validatorBytesMax else { throw BytesError("validator of \(count) bytes", at: 1) }
    offset = try reader.take()
    validator = Array(try reader.take(raw: count))
    guard reader.remaining <= Self.nameBytesMax else { throw BytesError("name too long", at: 10 + count) }
    name = Array(try reader.take(raw: reader.remaining))
  }
}

/// The first bytes of the server's half.
public struct FabricBulkHead: Equatable, Sendable {
  public enum Status: UInt8, Sendable, CaseIterable {
    case ok = 0
    case absent = 1
    /// It is not what the caller has bytes of.
    case changed = 2
    /// The offset lies behind the end.
    case beyond = 3
  }

  public var status: Status
  public var size: UInt64
  public var validator: [UInt8]

  static let version: UInt8 = 1
  static let fixedBytes = 11

  public init(_ status: Status, size: UInt64 = 0, validator: [UInt8] = []) {
    self.status = status
    self.size = size
    self.validator = validator
  }

  public func encode() -> [UInt8] {
    precondition(validator.count <= FabricBulkRequest.validatorBytesMax, "checked by the source")
    var writer = ByteWriter(capacity: Self.fixedBytes + validator.count)
    writer.put(Self.version)
    writer.put(status.rawValue)
    writer.put(UInt8(validator.count))
    writer.put(size)
    writer.put(raw: validator)
    return writer.bytes
  }

  /// The head at the front of `bytes` and its length; nil while it is not whole.
  public static func take(_ bytes: ArraySlice<UInt8>) throws(BytesError) -> (head: FabricBulkHead, length: Int)? {
    guard bytes.count >= fixedBytes else { return nil }
    var reader = ByteReader(bytes)
    guard try reader.take(UInt8.self) == version else { throw BytesError("unknown version", at: 0) }
    guard let status = Status(rawValue: try reader.take()) else { throw BytesError("unknown status", at: 1) }
    let count = Int(try reader.take(UInt8.self))
    guard count <= FabricBulkRequest.validatorBytesMax else { throw BytesError("validator of \(count) bytes", at: 2) }
    let size = try reader.take(UInt64.self)
    guard reader.remaining >= count else { return nil }
    let validator = Array(try reader.take(raw: count))
    return (FabricBulkHead(status, size: size, validator: validator), fixedBytes + count)
  }
}
