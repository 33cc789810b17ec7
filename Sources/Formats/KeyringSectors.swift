// Walks over the frames of a keyring, sector by sector.

import Base

public enum KeyringSectors {
  /// Where a walk ended, and why.
  public struct End: Sendable, Equatable {
    /// End of the last whole frame.
    public var offset: UInt64
    /// Frames seen, and the number of the next one.
    public var frames: UInt64
    /// Where the first byte lies that belongs to no frame and is not padding; nil when there is none.
    public var strange: UInt64?

    public init(offset: UInt64, frames: UInt64, strange: UInt64?) {
      self.offset = offset
      self.frames = frames
      self.strange = strange
    }

    /// Where a walk over a whole file starts.
    public static let start = End(offset: UInt64(KeyringFrame.firstOffset), frames: 0, strange: nil)
  }

  /// Walks over `sectors`, whole sectors of a file from `offset` on (the last one may be short), after what `start` says
  /// of those before. Gives each frame with its place to `body`; stops at the first byte that fits nothing.
  public static func walk<E: Error>(
    _ sectors: [UInt8], from start: End, at offset: UInt64,
    _ body: (KeyringFrame, UInt64) throws(E) -> Void
  ) throws(E) -> End {
    var end = start
    var base = 0
    while base < sectors.count {
      let limit = min(base + KeyringFrame.sectorBytes, sectors.count)
      var at = base
      while let first = sectors[at..<limit].firstIndex(where: { $0 != 0 }) {
        guard let frame = KeyringFrame(front: sectors[at..<limit]), frame.number == end.frames else {
          // An offset in the padding is named as it is; one in a frame is the frame's start.
          end.strange = offset + UInt64(first - at >= KeyringFrame.sectorBytes / 2 ? first : at)
          return end
        }
        try body(frame, offset + UInt64(at))
        at += frame.byteCount
        end.frames += 1
        end.offset = offset + UInt64(at)
        if at == limit { break }
      }
      base = limit
    }
    return end
  }
}
