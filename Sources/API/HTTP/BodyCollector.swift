// Takes a reply's body into memory. For replies that are small: those under `/v1`.

import HTTPTypes
import Hummingbird
import NIOCore
import Threads

final class BodyCollector: ResponseBodyWriter, Sendable {
  let bytes = Lock(ByteBuffer())

  func write(_ buffer: ByteBuffer) async throws { bytes.with { _ = $0.writeImmutableBuffer(buffer) } }
  func finish(_ trailingHeaders: HTTPFields?) async throws {}
}
