// One of S3's additional checksums (`x-amz-checksum-…`), computed while a body passes.

internal import Base
internal import OpenSSL

package struct PayloadChecksum {
  package enum Algorithm: String, Sendable, CaseIterable {
    case crc32, crc32c, crc64nvme, sha1, sha256

    /// The field that carries the value, base64 of the big-endian checksum.
    package var field: String { "x-amz-checksum-" + rawValue }
    fileprivate var count: Int {
      switch self {
      case .crc32, .crc32c: 4
      case .crc64nvme: 8
      case .sha1: 20
      case .sha256: 32
      }
    }
  }

  package let algorithm: Algorithm
  private var crc: UInt64 = 0
  private let hasher: Hasher?

  package init(_ algorithm: Algorithm) {
    self.algorithm = algorithm
    hasher =
      switch algorithm {
      case .sha1: Hasher(.sha1)
      case .sha256: Hasher(.sha256)
      case .crc32, .crc32c, .crc64nvme: nil
      }
  }

  package mutating func update(_ bytes: RawSpan) {
    switch algorithm {
    case .crc32: crc = UInt64(CRC32.checksum(bytes, seed: UInt32(truncatingIfNeeded: crc)))
    case .crc32c: crc = UInt64(CRC32C.checksum(bytes, seed: UInt32(truncatingIfNeeded: crc)))
    case .crc64nvme: crc = CRC64NVME.checksum(bytes, seed: crc)
    case .sha1, .sha256: hasher?.update(bytes)
    }
  }

  /// The checksum, big-endian. Called once, at the end.
  package func finish() -> [UInt8] {
    if let hasher { return hasher.finish() }
    return (0..<algorithm.count).map { UInt8(truncatingIfNeeded: crc >> UInt64(8 * (algorithm.count - 1 - $0))) }
  }
}
