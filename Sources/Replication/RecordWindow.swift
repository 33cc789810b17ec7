// The newest records of a log in memory, without gaps, up to the log's end: what peers are sent from. Bounded by whoever
// drops from its front.

import Base
import Formats

struct RecordWindow: Sendable {
  private var records: [SealedRecord] = []
  /// Dropped from the front, and not yet given back.
  private var head = 0
  private(set) var bytes = 0

  var first: LogIndex? { head < records.count ? records[head].header.index : nil }
  var count: Int { records.count - head }

  subscript(index: LogIndex) -> SealedRecord? {
    guard let first, index >= first, index - first < UInt64(count) else { return nil }
    return records[head + Int(index - first)]
  }

  mutating func append(_ record: SealedRecord) {
    if let last = records.last, head < records.count, record.header.index != last.header.index + 1 { removeAll() }
    records.append(record)
    bytes += record.frame.count
  }

  mutating func removeAll() {
    records = []
    (head, bytes) = (0, 0)
  }

  mutating func removeFirst() {
    guard head < records.count else { return }
    bytes -= records[head].frame.count
    head += 1
    guard head == records.count || head >= 64 && head * 2 >= records.count else { return }
    records.removeFirst(head)
    head = 0
  }

  mutating func drop(upTo index: LogIndex) {
    while let first, first <= index { removeFirst() }
  }

  mutating func drop(after index: LogIndex) {
    while head < records.count, let last = records.last, last.header.index > index {
      bytes -= last.frame.count
      records.removeLast()
    }
    if head >= records.count { removeAll() }
  }

  /// Records from `index` on, at least one, in at most `bytesMax` unless the first is larger; empty when it is not here.
  func records(from index: LogIndex, bytesMax: Int) -> [SealedRecord] {
    var result: [SealedRecord] = []
    var (next, bytes) = (index, 0)
    while let record = self[next], result.count < ReplicationLimits.recordsMax {
      bytes += record.frame.count
      if !result.isEmpty, bytes > bytesMax { break }
      result.append(record)
      next += 1
    }
    return result
  }
}
