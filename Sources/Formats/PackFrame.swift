// One chunk in a pack: a clear header of 44 bytes, the sealed body, a CRC-32C over both.
//
// The checksum lets `komora verify` find a flipped byte without any key; the seal in the body, whose associated data
// holds this header's fields, is what an adversary cannot imitate. Layout: Formats.docc/pack.md.

public import Base

/// What a chunk of an archive is part of.
public enum PackChunkKind: UInt8, Sendable, CaseIterable {
  /// 64 KiB of database pages, sealed under the account's archive key.
  case database = 1
  /// A chunk of a recording as it lay in its volume, sealed under the recording's own key.
  case recording = 2
}

/// How the bytes inside the seal of a database chunk are coded.
public enum PackCoding: UInt8, Sendable, CaseIterable {
  case stored = 0
  case zstd = 1
  /// A recording's chunk names its coding itself, inside its own frame.
  case own = 2
}

public struct PackFrameHeader: Equatable, Sendable {
  public var kind: PackChunkKind
  public var coding: PackCoding
  /// Bytes of the body that follows.
  public var bodyBytes: Int
  /// Bytes once opened and decoded; 0 for a recording's chunk, which says it itself.
  public var originalBytes: Int
  public var name: ChunkName

  public static let byteCount = 44
  /// Header and checksum around the body.
  public static let overhead = byteCount + 4
  /// A recording's chunk with the frame that it has in its volume, or a group of pages that did not get smaller.
  public static let bodyBytesMax = Limits.sealedChunkBytesMax + 4096
  public static let originalBytesMax = Limits.snapshotGroupPages * Limits.pageBytes

  public init(kind: PackChunkKind, coding: PackCoding, bodyBytes: Int, originalBytes: Int, name: ChunkName) {
    self.kind = kind
    self.coding = coding
    self.bodyBytes = bodyBytes
    self.originalBytes = originalBytes
    self.name = name
  }

  /// Bytes of the whole frame.
  public var frameBytes: Int { bodyBytes + Self.overhead }

  public func encode() -> [UInt8] {
    precondition(bodyBytes <= Self.bodyBytesMax && originalBytes <= Self.originalBytesMax, "a chunk is too large")
    var writer = ByteWriter(capacity: Self.byteCount)
    writer.put(UInt32(bodyBytes))
    writer.put(kind.rawValue)
    writer.put(coding.rawValue)
    writer.put(UInt16(0))
    writer.put(UInt32(originalBytes))
    writer.put(raw: name.bytes)
    return writer.bytes
  }

  public init(decoding bytes: ArraySlice<UInt8>) throws(BytesError) {
    var reader = ByteReader(bytes)
    bodyBytes = Int(try reader.take(UInt32.self))
    guard bodyBytes <= Self.bodyBytesMax else { throw BytesError("chunk of \(bodyBytes) bytes is too long", at: 0) }
    guard let kind = PackChunkKind(rawValue: try reader.take()) else {
      throw BytesError("unknown kind of chunk", at: 4)
    }
    guard let coding = PackCoding(rawValue: try reader.take()) else { throw BytesError("unknown coding", at: 5) }
    guard try reader.take(UInt16.self) == 0 else { throw BytesError("reserved field is not zero", at: 6) }
    originalBytes = Int(try reader.take(UInt32.self))
    guard originalBytes <= Self.originalBytesMax else { throw BytesError("original length is too long", at: 8) }
    guard (kind == .recording) == (coding == .own) else { throw BytesError("coding does not fit the kind", at: 5) }
    name = ChunkName(bytes: try reader.take(raw: ChunkName.byteCount))
    self.kind = kind
    self.coding = coding
  }

  /// A whole frame around `body`.
  public static func frame(kind: PackChunkKind, coding: PackCoding, originalBytes: Int, name: ChunkName, body: [UInt8])
    -> [UInt8]
  {
    let header = PackFrameHeader(
      kind: kind, coding: coding, bodyBytes: body.count, originalBytes: originalBytes, name: name)
    var bytes = header.encode()
    bytes.reserveCapacity(header.frameBytes)
    bytes.append(contentsOf: body)
    let checksum = CRC32C.checksum(bytes)
    for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: checksum >> UInt32(shift))) }
    return bytes
  }

  /// Reads a whole frame; its bytes must be exactly `bytes`.
  public static func open(frame bytes: [UInt8]) throws(BytesError) -> (header: PackFrameHeader, body: ArraySlice<UInt8>)
  {
    guard bytes.count >= overhead else { throw BytesError("frame ends early", at: bytes.count) }
    let end = bytes.count - 4
    var tail = ByteReader(bytes[end...])
    let stored = try tail.take(UInt32.self)
    guard unsafe CRC32C.checksum(bytes.span.bytes.extracting(0..<end)) == stored else {
      throw BytesError("checksum of the frame does not match", at: 0)
    }
    let header = try PackFrameHeader(decoding: bytes[..<byteCount])
    guard header.frameBytes == bytes.count else { throw BytesError("frame has another length", at: 0) }
    return (header, bytes[byteCount..<end])
  }
}
