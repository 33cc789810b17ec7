// Where an export's tar stream goes: zstd, its trailer, age where recipients are named, then a file, written past the
// page cache in large pieces. What comes out is hashed on its way.

import AtRest
import Base
import Disk
import Formats
import OpenSSL

final class ExportOutput {
  private static let pieceBytes = 1 << 20
  private let file: any DiskFile
  private let zstd = ZstdStreamCompressor()
  private var age: AgeEncryptor?
  /// Of the compressed stream, for the trailer.
  private let inner = Hasher(.sha256)
  /// Of the file.
  private let outer = Hasher(.sha256)
  private let buffer = DiskBuffer(capacity: ExportOutput.pieceBytes)
  private var written: UInt64 = 0

  /// Makes the file at `path`; `recipients` are age's, none for a file that everybody can read.
  init(_ disk: any Disk, _ path: String, recipients: [String]) throws {
    age = recipients.isEmpty ? nil : try AgeEncryptor(recipients: recipients)
    file = try disk.open(path, .create, direct: true)
  }

  func write(_ bytes: [UInt8]) throws {
    try zstd.write(bytes.span.bytes) { try compressed($0) }
  }

  /// Ends and syncs the file; gives its length and its SHA-256.
  func finish() throws -> (bytes: UInt64, hash: [UInt8]) {
    try zstd.finish { try compressed($0) }
    try seal(ExportTrailer(hash: inner.finish()).encode())
    if age != nil { try append(age!.finish()) }
    let total = written + UInt64(buffer.count)
    if buffer.count > 0 {
      buffer.pad(to: DiskBuffer.alignment)
      try file.write(buffer, at: written)
    }
    try file.truncate(to: total)
    try file.sync()
    return (total, outer.finish())
  }

  private func compressed(_ bytes: ArraySlice<UInt8>) throws {
    let bytes = Array(bytes)
    inner.update(bytes)
    try seal(bytes)
  }

  private func seal(_ bytes: [UInt8]) throws {
    if age != nil { try append(age!.update(bytes)) } else { try append(bytes) }
  }

  private func append(_ bytes: [UInt8]) throws {
    outer.update(bytes)
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
