// One stream of a connection: two halves, each with its credit.

import Formats

struct FabricStream {
  let opening: FabricOpening
  let isOwn: Bool
  /// The opening frame is still to be sent.
  var opens: Bool
  /// Bytes to send, from `sent` on.
  var buffer: [UInt8] = []
  var sent = 0
  /// This side's half ends after the buffer.
  var ends = false
  var endSent = false
  var peerEnded = false
  /// Bytes that the peer is ready to take.
  var credit: Int
  /// Bytes that the peer may still send, of at most `window`.
  var allowance: Int
  var window: Int
  /// Bytes that the application is done with and the peer has no credit for yet.
  var consumed = 0
  var deadline: FabricInstant?
  /// It stands in the queue of its priority.
  var isQueued = false
  /// The application waits for room in the buffer.
  var wantsRoom = false

  var waiting: Int { buffer.count - sent }
  var isFinished: Bool { endSent && peerEnded }
  var hasWork: Bool { !opens && ((waiting > 0 && credit > 0) || (ends && !endSent && waiting == 0)) }

  /// The frame that opens it, with the first bytes when it may carry some.
  mutating func open(_ id: StreamID, carrying: Bool, limit: Int) -> FabricFrame {
    opens = false
    let data = carrying ? take(limit - FabricFrame.openingBytes) : []
    endSent = ends && waiting == 0
    return .open(stream: id, opening, data: data, ends: endSent)
  }

  /// Appends the next frame of at most `limit` bytes; false without work.
  mutating func put(_ id: StreamID, limit: Int, to bytes: inout [UInt8]) -> Bool {
    guard hasWork else { return false }
    let range = advance(limit)
    endSent = ends && waiting == 0
    FabricFrame.put(data: buffer[range], stream: id, ends: endSent, to: &bytes)
    trim()
    return true
  }

  private mutating func take(_ limit: Int) -> [UInt8] {
    let data = Array(buffer[advance(limit)])
    trim()
    return data
  }

  private mutating func advance(_ limit: Int) -> Range<Int> {
    let count = min(waiting, credit, limit)
    sent += count
    credit -= count
    return (sent - count)..<sent
  }

  private mutating func trim() {
    if sent == buffer.count {
      buffer.removeAll(keepingCapacity: buffer.capacity <= 1 << 16)
      sent = 0
    } else if sent >= 1 << 20 {
      buffer.removeFirst(sent)
      sent = 0
    }
  }
}
