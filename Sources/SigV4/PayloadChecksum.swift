// One of S3's additional checksums (`x-amz-checksum-…`), computed while a body passes.
//
// SHA-1 is known by name and refused, so that a client never believes that it was checked.

internal import Base
internal import OpenSSL

package struct PayloadChecksum {
  package enum Algorithm: String, Sendable, CaseIterable {
    case crc32, crc32c, crc64nvme, sha256

    /// The field that carries the value, base64 of the big-endian checksum.
    package var field: String { "x-amz-checksum-" + rawValue }
    fileprivate var count: Int { self == .sha256 ? 32 : self == .crc64nvme ? 8 : 4 }
  }

  package let algorithm: Algorithm
  private var crc: UInt64 = 0
  private let hasher: Hasher?

  init(_ algorithm: Algorithm) {
    self.algorithm = algorithm
    hasher = algorithm == .sha256 ? Hasher(.sha256) : nil
  }

  mutating func update(_ bytes: RawSpan) {
    switch algorithm {
    case .crc32: crc = UInt64(CRC32.checksum(bytes, seed: UInt32(truncatingIfNeeded: crc)))
    case .crc32c: crc = UInt64(CRC32C.checksum(bytes, seed: UInt32(truncatingIfNeeded: crc)))
    case .crc64nvme: crc = CRC64NVME.checksum(bytes, seed: crc)
    case .sha256: hasher?.update(bytes)
    }
  }

  /// The checksum, big-endian. Called once, at the end.
  func finish() -> [UInt8] {
    if let hasher { return hasher.finish() }
    return (0..<algorithm.count).map { UInt8(truncatingIfNeeded: crc >> UInt64(8 * (algorithm.count - 1 - $0))) }
  }
}
