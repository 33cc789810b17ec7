// The name of a chunk in an archive: 32 bytes that only the account's keys can make.
//
// A piece of the database is named by a keyed hash of its content, so that equal content is stored once and nobody
// without the key can test a guess. A chunk of a recording is named by a keyed hash of the recording's id and the
// chunk's number, because its bytes stay sealed under the recording's own key. This type only carries the name.

import Base

public struct ChunkName: Hashable, Sendable, CustomStringConvertible {
  public let high: UInt128
  public let low: UInt128

  public static let byteCount = 32

  /// Traps on another length than 32.
  public init(bytes: some Collection<UInt8>) {
    precondition(bytes.count == Self.byteCount, "a chunk name has 32 bytes")
    var words: [UInt128] = [0, 0]
    for (i, byte) in bytes.enumerated() { words[i / 16] = words[i / 16] << 8 | UInt128(byte) }
    high = words[0]
    low = words[1]
  }

  public var bytes: [UInt8] {
    (0..<32).map { i in
      UInt8(truncatingIfNeeded: (i < 16 ? high : low) >> UInt128(120 - 8 * (i % 16)))
    }
  }

  public var description: String { bytes.hex }
}
