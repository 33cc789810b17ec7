// Memory for files on their way, used again: a buffer that the system has just given has to be cleared page by page, which
// costs as much as reading the file into it.

import NIOCore
import Threads

final class BufferPool: Sendable {
  private let idle = Lock<[ByteBuffer]>([])
  private let capacity: Int
  private let countMax: Int

  init(capacity: Int, countMax: Int) {
    (self.capacity, self.countMax) = (capacity, countMax)
  }

  /// An empty buffer with room for `capacity` bytes.
  func take() -> ByteBuffer {
    var buffer = idle.with { $0.popLast() } ?? ByteBuffer()
    // One that somebody still looks at gets memory of its own.
    buffer.clear(minimumCapacity: capacity)
    return buffer
  }

  func give(_ buffer: ByteBuffer) { idle.with { if $0.count < countMax { $0.insert(buffer, at: 0) } } }
}
