// What goes before a recording's frames when one replica hands it to another. Layout: Formats.docc/base.md.

import Base

public struct RecordingFront: Sendable, Equatable {
  static let magic = "KRCX"
  static let version: UInt8 = 1
  public static let headBytes = 44
  /// Frames of the largest recording.
  public static let framesMax = Limits.recordingBytesMax / Limits.recordingChunkBytes + 1

  /// 32 bytes.
  public var key: [UInt8]
  /// Length of each frame, in order.
  public var frameBytes: [UInt32]

  public init(key: [UInt8], frameBytes: [UInt32]) {
    precondition(key.count == 32 && frameBytes.count <= Self.framesMax, "a key of 32 bytes, a recording's frames")
    self.key = key
    self.frameBytes = frameBytes
  }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: Self.headBytes + 4 * frameBytes.count)
    w.put(raw: Self.magic.utf8)
    w.put(Self.version)
    w.put(raw: [0, 0, 0])
    w.put(raw: key)
    w.put(UInt32(frameBytes.count))
    for bytes in frameBytes { w.put(bytes) }
    return w.bytes
  }

  /// Reads it from the front of `bytes`, with how long it was; nil while it is not whole.
  public static func take(_ bytes: ArraySlice<UInt8>) throws(FormatError) -> (front: RecordingFront, length: Int)? {
    guard bytes.count >= headBytes else { return nil }
    var r = ByteReader(bytes)
    do throws(BytesError) {
      try r.expect(magic: magic)
      let version: UInt8 = try r.take()
      guard version == Self.version else { throw BytesError("version \(version)", at: 4) }
      guard Array(try r.take(raw: 3)) == [0, 0, 0] else { throw BytesError("reserved bytes", at: 5) }
      let key = Array(try r.take(raw: 32))
      let count = Int(try r.take(UInt32.self))
      guard count <= framesMax else { throw BytesError("\(count) frames", at: 40) }
      guard r.remaining >= 4 * count else { return nil }
      var frameBytes: [UInt32] = []
      frameBytes.reserveCapacity(count)
      for _ in 0..<count {
        let bytes = try r.take(UInt32.self)
        guard (1...UInt32(Limits.sealedChunkBytesMax + ChunkHeader.byteCount)).contains(bytes) else {
          throw BytesError("a frame of \(bytes) bytes", at: headBytes)
        }
        frameBytes.append(bytes)
      }
      return (RecordingFront(key: key, frameBytes: frameBytes), headBytes + 4 * count)
    } catch {
      throw FormatError(error)
    }
  }
}
