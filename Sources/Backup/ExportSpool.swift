// Bytes that have to wait on disk until their number is known, as tar wants it. Sealed under a key that lies in memory
// only: what a crash leaves behind opens for nobody.

import Base
import Disk
import OpenSSL

final class ExportSpool {
  private static let chunkBytes = 64 << 10
  private let disk: any Disk
  private let file: any DiskFile
  private let cipher = AESGCM(key: SecretBytes.random(32))
  private let hasher = Hasher(.sha256)
  private var waiting: [UInt8] = []
  private var chunks: UInt64 = 0
  private(set) var bytes: UInt64 = 0

  init(_ disk: any Disk, _ path: String) throws {
    self.disk = disk
    file = try disk.open(path, .create)
    waiting.reserveCapacity(2 * Self.chunkBytes)
  }

  func write(_ text: String) throws { try write(Array(text.utf8)) }

  func write(_ more: [UInt8]) throws {
    bytes += UInt64(more.count)
    hasher.update(more)
    waiting += more
    var at = 0
    while waiting.count - at >= Self.chunkBytes {
      try flush(Array(waiting[at..<(at + Self.chunkBytes)]))
      at += Self.chunkBytes
    }
    if at > 0 { waiting.removeFirst(at) }
  }

  /// SHA-256 of all of it. Called once, before `read`.
  func finish() throws -> [UInt8] {
    if !waiting.isEmpty { try flush(waiting) }
    waiting = []
    return hasher.finish()
  }

  func read(_ body: ([UInt8]) throws -> Void) throws {
    for number in 0..<chunks {
      let offset = number * UInt64(Self.chunkBytes + AESGCM.tagBytes)
      let sealed = try file.read(Self.chunkBytes + AESGCM.tagBytes, at: offset)
      guard let plain = cipher.open(sealed, nonce: Self.nonce(number), aad: []) else {
        throw BackupError(.io, "the disk gave other bytes back than were written: try again", path: file.path)
      }
      try body(plain)
    }
  }

  func remove() throws { try disk.remove(file.path) }

  private func flush(_ plain: [UInt8]) throws {
    let sealed = cipher.seal(plain, nonce: Self.nonce(chunks), aad: [])
    try file.write(sealed, at: chunks * UInt64(Self.chunkBytes + AESGCM.tagBytes))
    chunks += 1
  }

  private static func nonce(_ number: UInt64) -> [UInt8] {
    [0, 0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(8 * $0)) }
  }
}
