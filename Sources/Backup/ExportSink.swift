// An export's file: zstd, its trailer, age where recipients are named, written in large pieces. What comes out is hashed on
// its way. Writes go through the page cache: the kernel brings them to the disk while the next piece is compressed.

import AtRest
import Base
import Disk
import Formats
import OpenSSL

final class ExportSink {
  private static let pieceBytes = 1 << 20
  private let file: any DiskFile
  private let zstd = ZstdStreamCompressor()
  private var age: AgeEncryptor?
  /// Of the compressed stream, for the trailer.
  private let inner = Hasher(.sha256)
  /// Of the file, where that is something else.
  private var outer: Hasher?
  private let buffer = DiskBuffer(capacity: ExportSink.pieceBytes)
  private var written: UInt64 = 0

  init(_ disk: any Disk, _ path: String, recipients: [String]) throws {
    age = recipients.isEmpty ? nil : try AgeEncryptor(recipients: recipients)
    outer = recipients.isEmpty ? nil : Hasher(.sha256)
    file = try disk.open(path, .create)
  }

  func write(_ bytes: [UInt8]) throws {
    try zstd.write(bytes.span.bytes) { try compressed(Array($0)) }
  }

  /// Ends and syncs the file; gives its length and its SHA-256.
  func finish() throws -> (bytes: UInt64, hash: [UInt8]) {
    try zstd.finish { try compressed(Array($0)) }
    let whole = outer ?? Hasher(copying: inner)
    outer = whole
    try seal(ExportTrailer(hash: inner.finish()).encode())
    if age != nil { try append(age!.finish()) }
    if buffer.count > 0 { try file.write(buffer, at: written) }
    try file.sync()
    return (written + UInt64(buffer.count), whole.finish())
  }

  private func compressed(_ bytes: [UInt8]) throws {
    inner.update(bytes)
    try seal(bytes)
  }

  private func seal(_ bytes: [UInt8]) throws {
    if age != nil { try append(age!.update(bytes)) } else { try append(bytes) }
  }

  private func append(_ bytes: [UInt8]) throws {
    outer?.update(bytes)
    var start = 0
    while start < bytes.count {
      let piece = min(bytes.count - start, Self.pieceBytes - buffer.count)
      buffer.append(bytes.span.bytes.extracting(start..<(start + piece)))
      start += piece
      guard buffer.count == Self.pieceBytes else { continue }
      try file.write(buffer, at: written)
      written += UInt64(Self.pieceBytes)
      buffer.clear()
    }
  }
}
