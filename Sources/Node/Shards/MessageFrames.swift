// Messages in a stream of bytes: each has its length before it, 4 bytes, little-endian.

package struct MessageFrames {
  package static let headBytes = 4

  private let bytesMax: Int
  private var buffer: [UInt8] = []
  private var start = 0

  /// A message has at most `bytesMax` bytes.
  package init(bytesMax: Int) { self.bytesMax = bytesMax }

  package static func append(_ message: [UInt8], to batch: inout [UInt8]) {
    let count = UInt32(message.count)
    for shift in [0, 8, 16, 24] as [UInt32] { batch.append(UInt8(truncatingIfNeeded: count >> shift)) }
    batch.append(contentsOf: message)
  }

  package mutating func feed(_ bytes: [UInt8]) {
    if start == buffer.count {
      buffer = bytes
      start = 0
      return
    }
    if start > 1 << 16, start * 2 > buffer.count {
      buffer.removeFirst(start)
      start = 0
    }
    buffer.append(contentsOf: bytes)
  }

  /// The next whole message; throws when its length is out of bounds, and nothing that follows can be read.
  package mutating func next() throws(NodeError) -> [UInt8]? {
    guard buffer.count - start >= Self.headBytes else { return nil }
    var count = 0
    for i in 0..<Self.headBytes { count |= Int(buffer[start + i]) << (8 * i) }
    guard count <= bytesMax else { throw NodeError(.invalid, "a message of \(count) bytes") }
    let first = start + Self.headBytes
    guard buffer.count - first >= count else { return nil }
    start = first + count
    return Array(buffer[first..<start])
  }
}
