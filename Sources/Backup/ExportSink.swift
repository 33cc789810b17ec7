// An export's file: a zstd frame, its trailer, age where recipients are named; that is what a reader gets. On the disk it
// lies sealed once more, to the account's own key, as everything of an account does. What comes out is hashed on its way.
// Writes bypass the page cache: a copy less, nothing of what others read is pushed out of it, and the sync at the end finds
// everything on the disk.

import AtRest
import Base
import Disk
import Formats
import OpenSSL

final class ExportSink {
  private static let pieceBytes = 1 << 20
  private let file: any DiskFile
  private var age: AgeEncryptor?
  private var seal: AgeEncryptor
  /// Of the compressed stream, for the trailer.
  private let inner = Hasher(.sha256)
  /// Of what a reader gets, where that is something else.
  private var outer: Hasher?
  /// Of the file on the disk.
  private let stored = Hasher(.sha256)
  private var bytes: UInt64 = 0
  private let buffer = DiskBuffer(capacity: ExportSink.pieceBytes)
  private var written: UInt64 = 0

  /// `owner` is the account's public key for agreements.
  init(_ disk: any Disk, _ path: String, recipients: [String], owner: [UInt8]) throws {
    seal = try AgeEncryptor(recipients: [Age.recipient(of: owner)])
    age = recipients.isEmpty ? nil : try AgeEncryptor(recipients: recipients)
    outer = recipients.isEmpty ? nil : Hasher(.sha256)
    file = try disk.open(path, .create, direct: true)
  }

  /// The next bytes of the frame.
  func write(_ bytes: [UInt8]) throws {
    inner.update(bytes)
    try encrypt(bytes)
  }

  struct Result: Sendable {
    /// Of what a reader gets: length and SHA-256.
    var bytes: UInt64
    var hash: [UInt8]
    /// Of the file on the disk.
    var storedBytes: UInt64
    var storedHash: [UInt8]
  }

  /// Ends and syncs the file, behind the whole frame.
  func finish() throws -> Result {
    let whole = outer ?? Hasher(copying: inner)
    outer = whole
    try encrypt(ExportTrailer(hash: inner.finish()).encode())
    if age != nil { try append(age!.finish()) }
    try put(seal.finish())
    if buffer.count > 0 { try file.write(buffer, at: written) }
    try file.sync()
    return Result(
      bytes: bytes, hash: whole.finish(), storedBytes: written + UInt64(buffer.count), storedHash: stored.finish())
  }

  private func encrypt(_ bytes: [UInt8]) throws {
    if age != nil { try append(age!.update(bytes)) } else { try append(bytes) }
  }

  private func append(_ bytes: [UInt8]) throws {
    outer?.update(bytes)
    self.bytes += UInt64(bytes.count)
    try put(seal.update(bytes))
  }

  private func put(_ bytes: [UInt8]) throws {
    stored.update(bytes)
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
