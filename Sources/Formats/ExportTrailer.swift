// The end of an export: a skippable frame of zstd (RFC 8878 §3.1.2), which other tools pass over, with the hash of every
// byte before it. zstd's own checksum is over the content and cannot see a byte that decodes to the same.
//
// Layout: Formats.docc/export.md.

import Base

public struct ExportTrailer: Equatable, Sendable {
  /// SHA-256 of the file up to this frame; 32 bytes.
  public var hash: [UInt8]

  public static let byteCount = 48
  public static let magic = "KEXP"
  private static let version: UInt16 = 1
  private static let skippable: UInt32 = 0x184D_2A5B

  public init(hash: [UInt8]) {
    precondition(hash.count == 32, "a SHA-256 has 32 bytes")
    self.hash = hash
  }

  public func encode() -> [UInt8] {
    var writer = ByteWriter(capacity: Self.byteCount)
    writer.put(Self.skippable)
    writer.put(UInt32(Self.byteCount - 8))
    writer.put(raw: Self.magic.utf8)
    writer.put(Self.version)
    writer.put(UInt16(0))
    writer.put(raw: hash)
    return writer.bytes
  }

  /// Whether `bytes`, the last ones of a file, are meant to be a trailer.
  public static func isAt(_ bytes: [UInt8]) -> Bool {
    bytes.count == byteCount && bytes[8..<12].elementsEqual(magic.utf8)
  }

  public init(decoding bytes: [UInt8]) throws(FormatError) {
    guard bytes.count == Self.byteCount else { throw FormatError(.truncated, "an export that ends early") }
    self.init(hash: Array(bytes[16...]))
    guard encode() == bytes else { throw FormatError(.damaged, "the end of the file is not that of an export") }
  }
}
