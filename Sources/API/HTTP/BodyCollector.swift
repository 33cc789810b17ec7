// Takes a reply's body into memory, up to a bound. For replies that are small: those under `/v1`.

import HTTPTypes
import Hummingbird
import NIOCore
import Threads

final class BodyCollector: ResponseBodyWriter, Sendable {
  struct TooLarge: Error {}

  let bytes = Lock(ByteBuffer())
  private let bytesMax: Int

  init(bytesMax: Int) { self.bytesMax = bytesMax }

  func write(_ buffer: ByteBuffer) async throws {
    try bytes.with { bytes in
      guard bytes.readableBytes + buffer.readableBytes <= bytesMax else { throw TooLarge() }
      _ = bytes.writeImmutableBuffer(buffer)
    }
  }

  func finish(_ trailingHeaders: HTTPFields?) async throws {}
}
