// The body of a request that another node passed on, as its handler reads it.

import Hummingbird
import NIOCore
import Node

struct ForwardedBody: AsyncSequence, Sendable {
  typealias Element = ByteBuffer
  let call: ForwardedCall

  struct AsyncIterator: AsyncIteratorProtocol {
    let call: ForwardedCall

    mutating func next() async throws -> ByteBuffer? { try await call.body().map { ByteBuffer(bytes: $0) } }
  }

  func makeAsyncIterator() -> AsyncIterator { AsyncIterator(call: call) }
}
