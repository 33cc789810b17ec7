// Which sealed frames a proof saw decoded and compared, as one number, and by what they were decoded.
//
// Layout: Formats.docc/manifest.md. How the digest is made: pack.md.

import Base

/// The programs that turned sealed bytes back into original ones. Another one may decode the same bytes differently, so a
/// proof by other decoders says nothing about these.
public struct DecoderVersions: Hashable, Sendable {
  /// Of Komora's own decoders.
  public var own: UInt32
  /// Of the libraries, as numbers: 1.5.4 is 10504.
  public var zstd: UInt32
  public var flac: UInt32

  public init(own: UInt32, zstd: UInt32, flac: UInt32) {
    self.own = own
    self.zstd = zstd
    self.flac = flac
  }
}

public struct ProvenFrames: Hashable, Sendable {
  public static let digestBytes = 32
  static let byteCount = digestBytes + 24

  /// 32 bytes: the sum of the frames' marks.
  public var digest: [UInt8]
  /// Frames in it.
  public var count: UInt64
  public var decoders: DecoderVersions

  /// Traps on a digest of another length.
  public init(digest: [UInt8], count: UInt64, decoders: DecoderVersions) {
    precondition(digest.count == Self.digestBytes, "a digest has 32 bytes")
    self.digest = digest
    self.count = count
    self.decoders = decoders
  }

  func put(into writer: inout ByteWriter) {
    writer.put(raw: digest)
    writer.put(count)
    writer.put(decoders.own)
    writer.put(decoders.zstd)
    writer.put(decoders.flac)
    writer.put(UInt32(0))
  }

  init(from reader: inout ByteReader) throws(BytesError) {
    digest = Array(try reader.take(raw: Self.digestBytes))
    count = try reader.take()
    decoders = DecoderVersions(own: try reader.take(), zstd: try reader.take(), flac: try reader.take())
    guard try reader.take(UInt32.self) == 0 else { throw BytesError("reserved field is not zero", at: 180) }
  }
}
