// The commit log's files: a header block, then groups of records cut into blocks of one sector.
//
// A file is zero-filled once and used again and again. Each use has a new generation, and each block carries it, so what
// lies there from before never counts. A group is what one write and one sync made durable: a group that is not whole is
// the torn end of the log, unless a later one exists or a block of it is damaged (a torn write leaves whole sectors, old
// or new; it never leaves a sector of this generation with a wrong checksum).

public import Base

public struct LogFileHeader: Sendable, Equatable {
  static let version: UInt16 = 1
  /// Of this use of the file; grows with every use of any of the node's files.
  public var generation: UInt64
  /// Files of older generations are free: all their records are in synced segments.
  public var oldestLive: UInt64
  /// From this generation on no file has been used again: what is read from there on is all that came, in its order.
  public var wholeFrom: UInt64
  public var fileBytes: UInt64
  public var node: NodeID

  public init(
    generation: UInt64, oldestLive: UInt64, wholeFrom: UInt64, fileBytes: UInt64, node: NodeID
  ) {
    self.generation = generation
    self.oldestLive = oldestLive
    self.wholeFrom = wholeFrom
    self.fileBytes = fileBytes
    self.node = node
  }

  /// One block, the last four bytes of which are a CRC-32C of the rest.
  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: Limits.logBlockBytes)
    w.put(raw: "KLOG".utf8)
    w.put(Self.version)
    w.put(UInt16(Limits.logBlockBytes))
    w.put(generation)
    w.put(oldestLive)
    w.put(fileBytes)
    w.put(node)
    w.put(wholeFrom)
    w.put(raw: [UInt8](repeating: 0, count: Limits.logBlockBytes - 4 - w.bytes.count))
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    var r = ByteReader(bytes)
    do {
      guard Array(try r.take(raw: 4)) == Array("KLOG".utf8) else {
        throw FormatError(.foreign, "not a commit-log file")
      }
      let version: UInt16 = try r.take()
      guard version == Self.version else { throw FormatError(.version, "commit-log version \(version)", at: 4) }
      let block: UInt16 = try r.take()
      generation = try r.take()
      oldestLive = try r.take()
      fileBytes = try r.take()
      node = try r.take(id: NodeID.self)
      wholeFrom = try r.take()
      let zeros = try r.take(raw: Limits.logBlockBytes - 4 - r.offset)
      let checksum: UInt32 = try r.take()
      guard checksum == CRC32C.checksum(Array(bytes[..<(Limits.logBlockBytes - 4)])) else {
        throw FormatError(.damaged, "the header's checksum does not match")
      }
      guard block == UInt16(Limits.logBlockBytes), zeros.allSatisfy({ $0 == 0 }) else {
        throw FormatError(.damaged, "the header holds what no writer writes")
      }
    } catch let error as BytesError {
      throw FormatError(error)
    } catch let error as FormatError {
      throw error
    } catch {
      fatalError("no other error is thrown: \(error)")
    }
  }
}

/// One block: generation 8, group 4, CRC-32C 4, then payload. The checksum covers generation, group and payload.
public enum LogBlock {
  public static let headerBytes = 16
  public static let payloadBytes = Limits.logBlockBytes - headerBytes
  /// A group's payload begins with its length in bytes, this field included.
  public static let groupHeaderBytes = 4

  /// Blocks that a group of `recordBytes` takes.
  public static func blocks(forRecordBytes recordBytes: Int) -> Int {
    (recordBytes + groupHeaderBytes + payloadBytes - 1) / payloadBytes
  }

  /// Cuts the frames of a group into blocks; `frames` one after the other are its content.
  public static func encodeGroup(_ frames: [[UInt8]], generation: UInt64, group: UInt32) -> [UInt8] {
    let total = frames.reduce(groupHeaderBytes) { $0 + $1.count }
    let blocks = (total + payloadBytes - 1) / payloadBytes
    var head = ByteWriter(capacity: headerBytes)
    head.put(generation)
    head.put(group)
    head.put(UInt32(0))
    var out = [UInt8]()
    out.reserveCapacity(blocks * Limits.logBlockBytes)
    out.append(contentsOf: head.bytes)
    for i in 0..<groupHeaderBytes { out.append(UInt8(truncatingIfNeeded: total >> (8 * i))) }
    for frame in frames {
      var at = 0
      while at < frame.count {
        if out.count % Limits.logBlockBytes == 0 { out.append(contentsOf: head.bytes) }
        let take = min(frame.count - at, Limits.logBlockBytes - out.count % Limits.logBlockBytes)
        out.append(contentsOf: frame[at..<(at + take)])
        at += take
      }
    }
    out.append(contentsOf: repeatElement(0, count: blocks * Limits.logBlockBytes - out.count))
    for start in stride(from: 0, to: out.count, by: Limits.logBlockBytes) {
      let crc = unsafe checksum(out.span.bytes.extracting(start..<(start + Limits.logBlockBytes)))
      for i in 0..<4 { out[start + 12 + i] = UInt8(truncatingIfNeeded: crc >> UInt32(8 * i)) }
    }
    return out
  }

  static func checksum(_ bytes: RawSpan) -> UInt32 {
    let head = CRC32C.checksum(bytes.extracting(0..<12))
    return CRC32C.checksum(bytes.extracting(headerBytes..<Limits.logBlockBytes), seed: head)
  }

  public enum Reading: Sendable, Equatable {
    /// A block of this generation, and its group.
    case block(group: UInt32)
    /// Another generation's, or never written: nothing of ours.
    case foreign
    /// A block of this generation whose content is not what was written.
    case damaged
  }

  /// What lies in a block of a file whose generation is `generation`.
  public static func read(_ block: ArraySlice<UInt8>, generation: UInt64) -> Reading {
    func field<T: FixedWidthInteger>(_ offset: Int, _: T.Type) -> T {
      var value: T = 0
      for i in 0..<(T.bitWidth / 8) { value |= T(block[block.startIndex + offset + i]) << T(8 * i) }
      return value
    }
    let stored = field(12, UInt32.self)
    let copy = Array(block)
    let holds = unsafe checksum(copy.span.bytes) == stored
    if field(0, UInt64.self) == generation { return holds ? .block(group: field(8, UInt32.self)) : .damaged }
    if holds { return .foreign }
    // A flipped bit in the generation itself: with the right one the checksum holds.
    var mended = copy
    for i in 0..<8 { mended[i] = UInt8(truncatingIfNeeded: generation >> UInt64(8 * i)) }
    return unsafe checksum(mended.span.bytes) == stored && stored != 0 ? .damaged : .foreign
  }

  public static func generation(of block: ArraySlice<UInt8>) -> UInt64 {
    (0..<8).reduce(0) { $0 | UInt64(block[block.startIndex + $1]) << UInt64(8 * $1) }
  }
}
