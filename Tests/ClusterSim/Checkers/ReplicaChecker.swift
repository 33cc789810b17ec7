// What is published is the same everywhere: one record at each index, and the same pages after it (I5); and it is never
// cut.

import Base
import Formats

struct ReplicaChecker {
  private struct Published {
    let position: Position
    let shown: [UInt8: PageState.Page]
  }

  /// By shard; index n stands at n - 1.
  private var published: [[Published]]

  init(shards: Int) { published = Array(repeating: [], count: shards) }

  mutating func published(
    _ shard: Int, _ number: Int, _ record: SealedRecord, _ shown: [UInt8: PageState.Page]
  ) throws(Violation) {
    let index = Int(record.header.index)
    if index == published[shard].count + 1 {
      published[shard].append(Published(position: record.position, shown: shown))
      return
    }
    guard index <= published[shard].count else {
      throw Violation(checker: "replicas", message: "\(number) publishes \(record.position) behind a gap")
    }
    let known = published[shard][index - 1]
    guard known.position == record.position else {
      throw Violation(
        checker: "replicas",
        message: "\(number) publishes \(record.position) of shard \(shard), another published \(known.position)")
    }
    guard known.shown == shown else {
      throw Violation(
        checker: "contents", message: "\(number) has other pages than another at \(record.position) of shard \(shard)")
    }
  }

  /// A base is a copy of what was published.
  func based(_ shard: Int, _ number: Int, _ position: Position) throws(Violation) {
    guard let known = known(at: position.index, shard), known == position else {
      throw Violation(checker: "replicas", message: "\(number) takes a base at \(position) of shard \(shard)")
    }
  }

  func cut(_ shard: Int, _ number: Int, _ records: ArraySlice<SealedRecord>) throws(Violation) {
    for record in records where known(at: record.header.index, shard) == record.position {
      throw Violation(
        checker: "cuts", message: "\(number) cuts \(record.position) of shard \(shard), which is published")
    }
  }

  /// Logs of primaries at the end.
  func check(_ shard: Int, _ number: Int, _ log: ShardLog) throws(Violation) {
    for record in log.records {
      if let known = known(at: record.header.index, shard), known != record.position {
        throw Violation(checker: "replicas", message: "\(number) holds another record of shard \(shard) after all")
      }
    }
  }

  private func known(at index: LogIndex, _ shard: Int) -> Position? {
    index > 0 && index <= UInt64(published[shard].count) ? published[shard][Int(index) - 1].position : nil
  }
}
