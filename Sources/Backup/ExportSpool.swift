// Bytes that have to wait until their number is known, as tar wants it: on disk, sealed under a key that lies in memory only,
// so that what a crash leaves behind opens for nobody. Few of them may stay in memory. Used by one thread at a time.

import Base
import Disk
import OpenSSL

final class ExportSpool {
  private static let chunkBytes = 64 << 10
  private let disk: any Disk
  private let path: String
  private let memoryBytes: Int
  private var file: (any DiskFile)?
  private let cipher = AESGCM(key: SecretBytes.random(32))
  private var waiting: [UInt8] = []
  private var chunks: UInt64 = 0
  private(set) var bytes: UInt64 = 0

  /// Makes the file at `path`: now, or, when `memoryBytes` is not 0, for more bytes than that.
  init(_ disk: any Disk, _ path: String, memoryBytes: Int = 0) throws {
    self.disk = disk
    self.path = path
    self.memoryBytes = memoryBytes
    if memoryBytes == 0 { file = try disk.open(path, .create) }
    waiting.reserveCapacity(2 * Self.chunkBytes)
  }

  func write(_ text: String) throws { try write(Array(text.utf8)) }

  func write(_ more: [UInt8]) throws {
    bytes += UInt64(more.count)
    waiting += more
    if file == nil, waiting.count <= memoryBytes { return }
    var at = 0
    while waiting.count - at >= Self.chunkBytes {
      try flush(Array(waiting[at..<(at + Self.chunkBytes)]))
      at += Self.chunkBytes
    }
    if at > 0 { waiting.removeFirst(at) }
  }

  /// Called once, before `read`.
  func finish() throws {
    guard file != nil, !waiting.isEmpty else { return }
    try flush(waiting)
    waiting = []
  }

  func read(_ body: ([UInt8]) throws -> Void) throws {
    guard let file else { return try body(waiting) }
    for number in 0..<chunks {
      let offset = number * UInt64(Self.chunkBytes + AESGCM.tagBytes)
      let sealed = try file.read(Self.chunkBytes + AESGCM.tagBytes, at: offset)
      guard let plain = cipher.open(sealed, nonce: Self.nonce(number), aad: []) else {
        throw BackupError(.io, "the disk gave other bytes back than were written: try again", path: path)
      }
      try body(plain)
    }
  }

  func remove() throws { if file != nil { try disk.remove(path) } }

  private func flush(_ plain: [UInt8]) throws {
    if file == nil { file = try disk.open(path, .create) }
    let sealed = cipher.seal(plain, nonce: Self.nonce(chunks), aad: [])
    try file!.write(sealed, at: chunks * UInt64(Self.chunkBytes + AESGCM.tagBytes))
    chunks += 1
  }

  private static func nonce(_ number: UInt64) -> [UInt8] {
    [0, 0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(8 * $0)) }
  }
}
