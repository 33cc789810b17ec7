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
  public init(bytes: ArraySlice<UInt8>) {
    precondition(bytes.count == Self.byteCount, "a chunk name has 32 bytes")
    let middle = bytes.startIndex + 16
    high = bytes[..<middle].reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
    low = bytes[middle...].reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
  }

  public init(bytes: [UInt8]) { self.init(bytes: bytes[...]) }

  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.byteCount)
    for word in [high, low] {
      for shift in stride(from: 120, through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: word >> UInt128(shift)))
      }
    }
    return bytes
  }

  public var description: String { bytes.hex }
}
