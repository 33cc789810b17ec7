// A file as the body of a request: read piece by piece on a thread of ours as the connection takes it, and hashed in
// passing.

import Base
import Foundation
import NIOCore
import OpenSSL
import Synchronization
import Threads

final class FileStream: AsyncSequence, Sendable {
  typealias Element = ByteBuffer
  private static let pieceBytes = 256 << 10

  private struct State {
    let handle: FileHandle
    let hasher = Hasher(.md5)
    var md5 = ""
  }
  private let state: Lock<State>
  private let pool: WorkPool

  init(path: String, pool: WorkPool) throws(CommandFailure) {
    guard let handle = FileHandle(forReadingAtPath: path) else {
      throw CommandFailure(.failed, "cannot read \(path)")
    }
    state = Lock(State(handle: handle))
    self.pool = pool
  }

  func close() { state.with { try? $0.handle.close() } }

  /// Of the whole file; reads what the connection did not ask for.
  func md5() async throws -> String {
    for try await _ in self {}
    return state.with { $0.md5 }
  }

  private func read() throws -> [UInt8] {
    try state.with { state in
      let bytes = try state.handle.read(upToCount: Self.pieceBytes).map { [UInt8]($0) } ?? []
      if bytes.isEmpty {
        if state.md5.isEmpty { state.md5 = state.hasher.finish().hex }
      } else {
        state.hasher.update(bytes)
      }
      return bytes
    }
  }

  struct AsyncIterator: AsyncIteratorProtocol {
    let stream: FileStream
    mutating func next() async throws -> ByteBuffer? {
      let stream = stream
      let bytes = try await stream.pool.perform { try stream.read() }
      return bytes.isEmpty ? nil : ByteBuffer(bytes: bytes)
    }
  }

  func makeAsyncIterator() -> AsyncIterator { AsyncIterator(stream: self) }

  /// The MD5 of the whole file at `path`.
  static func md5(_ path: String, pool: WorkPool) async throws -> String {
    let stream = try FileStream(path: path, pool: pool)
    defer { stream.close() }
    return try await stream.md5()
  }
}
