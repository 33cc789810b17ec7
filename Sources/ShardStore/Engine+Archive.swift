// What the archive asks of an account's log: how far it is published, its records, the keys that open them.
//
// Only published records: nothing that a later epoch could take back ever leaves for the archive. Nobody waits for these
// reads but a split of the same account's log, and that for a few MiB.

package import Base
package import Formats

/// Published records of one account, in order.
package struct PublishedRecords: Sendable {
  package var records: [SealedRecord]
  /// What was published when they were read.
  package var published: Position
}

extension Engine {
  /// The last published index as far as it is known without opening the account; nil when nobody has used the account
  /// since the start.
  package func publishedIfKnown(_ id: AccountID) -> LogIndex? {
    guard let entry = entryIfKnown(id) else { return nil }
    if let shard = entry.openShard { return shard.pages.published.index }
    guard let log = entry.openLog else { return nil }
    return configuration.isReplicated ? log.committed : log.end.index
  }

  /// Published records from `index` on, at most `bytesMax` bytes but one at least; empty behind the last, nil when the log
  /// does not reach back so far.
  package func publishedRecords(_ id: AccountID, from index: LogIndex, bytesMax: Int) async throws -> PublishedRecords?
  {
    let shard = try await held(id)
    defer { shard.release() }
    return try await shard.onReader {
      let published = shard.pages.published
      guard index <= published.index else { return PublishedRecords(records: [], published: published) }
      guard let found = try shard.accountLog.records(from: index, bytesMax: bytesMax) else { return nil }
      return PublishedRecords(
        records: found.filter { $0.header.index <= published.index }, published: published)
    }
  }

  /// The newest record before `index` that carries its epoch's key; nil when the log does not reach back to one.
  package func keyRecord(_ id: AccountID, before index: LogIndex) async throws -> SealedRecord? {
    let shard = try await held(id)
    defer { shard.release() }
    return try await shard.onReader { try shard.accountLog.keyRecord(before: index) }
  }
}
