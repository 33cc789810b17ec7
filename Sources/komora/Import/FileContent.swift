// A file that is small enough to be sent from memory: read once, with the two hashes that go ahead of it.
//
// What is sent is what was hashed, so nothing is left to compare with the file; the node compares what arrives.

import Base
import Foundation
import Glibc
import NIOCore
import OpenSSL
import SigV4
import Threads

struct FileContent: Sendable {
  static let bytesMax = 4 << 20

  let buffer: ByteBuffer
  let md5: [UInt8]
  let crc32c: [UInt8]

  /// `bytes`: how long the file was when it was listed. In a buffer out of `buffers`, for whoever has sent it to give back.
  static func read(
    _ path: String, bytes: Int, pool: WorkPool, buffers: BufferPool
  ) async throws -> FileContent {
    precondition(bytes <= bytesMax, "a file that is streamed")
    return try await pool.perform { try FileContent(path, bytes: bytes, buffers.take()) }
  }

  private init(_ path: String, bytes: Int, _ empty: consuming ByteBuffer) throws(CommandFailure) {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw CommandFailure(.failed, "cannot read \(path): \(String(cString: strerror(errno)))") }
    defer { close(file) }
    var buffer = empty
    while buffer.readableBytes < bytes {
      let room = bytes - buffer.readableBytes
      let count = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: room) {
        max(0, Glibc.read(file, $0.baseAddress!, room))
      }
      guard count > 0 else { break }
    }
    // Nothing may follow.
    var more: UInt8 = 0
    guard buffer.readableBytes == bytes, Glibc.read(file, &more, 1) == 0 else {
      throw CommandFailure(.failed, "\(path) changed while it was read: run the import again")
    }
    let hasher = Hasher(.md5)
    hasher.update(buffer.readableBytesSpan)
    md5 = hasher.finish()
    var checksum = PayloadChecksum(.crc32c)
    checksum.update(buffer.readableBytesSpan)
    crc32c = checksum.finish()
    self.buffer = buffer
  }
}
