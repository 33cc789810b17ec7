// Walks over the entries of a keyring, sector by sector, without taking them apart.

import Base

public enum KeyringSectors {
  /// What a walk sees of an entry.
  public struct Entry: Sendable, Equatable {
    public var kind: KeyringFrame.Kind
    public var id: UInt128
    /// Where its frame lies in the file, and its length.
    public var place: UInt64
    public var byteCount: Int
  }

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
  /// of those before. Gives each entry to `body`; stops at the first byte that fits nothing.
  public static func walk<E: Error>(
    _ sectors: [UInt8], from start: End, at offset: UInt64, _ body: (Entry) throws(E) -> Void
  ) throws(E) -> End {
    var end = start
    var base = 0
    while base < sectors.count {
      let limit = min(base + KeyringFrame.sectorBytes, sectors.count)
      var at = base
      while at < limit, let first = sectors[at..<limit].firstIndex(where: { $0 != 0 }) {
        guard let entry = entry(sectors, at, limit, number: end.frames, place: offset + UInt64(at)) else {
          // A place in the padding is named as it is; one in a frame is the frame's start.
          end.strange = offset + UInt64(first - at >= KeyringFrame.sectorBytes / 2 ? first : at)
          return end
        }
        try body(entry)
        at += entry.byteCount
        end.frames += 1
        end.offset = offset + UInt64(at)
      }
      base = limit
    }
    return end
  }

  /// The whole frame at `at` with this number, nil when there is none.
  private static func entry(_ bytes: [UInt8], _ at: Int, _ limit: Int, number: UInt64, place: UInt64) -> Entry? {
    func word<T: FixedWidthInteger>(_ offset: Int, _: T.Type) -> T {
      (0..<(T.bitWidth / 8)).reduce(T(0)) { $0 | T(bytes[at + offset + $1]) << T(8 * $1) }
    }
    guard limit - at >= KeyringFrame.overheadBytes + KeyringFrame.sealedBytesMin else { return nil }
    let length = Int(word(0, UInt16.self))
    guard (KeyringFrame.sealedBytesMin...KeyringFrame.sealedBytesMax).contains(length - KeyringFrame.overheadBytes),
      length <= limit - at, word(4, UInt64.self) == number,
      unsafe CRC32C.checksum(bytes.span.bytes.extracting(at..<(at + length - 4))) == word(length - 4, UInt32.self)
    else { return nil }
    let id = (12..<28).reduce(UInt128(0)) { $0 << 8 | UInt128(bytes[at + $1]) }
    return Entry(
      kind: KeyringFrame.Kind(rawValue: word(2, UInt16.self)), id: id, place: place, byteCount: length)
  }
}
