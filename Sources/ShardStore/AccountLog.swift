// An account's published records between the commit log and its segments. It outlives the open shard: the commit log
// waits for it.

import Base
import Disk
import Formats
import Threads

final class AccountLog: Sendable {
  let id: AccountID
  let segments: SegmentStore
  private let unsplit = Lock<[SealedRecord]>([])
  private let partial = Lock(0)
  private let epoch = Lock<Epoch>(0)
  /// One split at a time; reads of segments wait for it.
  private let splitting = Lock<Void>(())

  init(id: AccountID, segments: SegmentStore) {
    self.id = id
    self.segments = segments
  }

  /// The greatest epoch that the account has begun since the engine was opened: it is never begun again, also when all of
  /// its records were dropped and the shard was closed since.
  var greatestEpoch: Epoch { epoch.with { $0 } }
  func noteEpoch(_ begun: Epoch) { epoch.with { $0 = max($0, begun) } }

  /// Published records, in order.
  func add(_ records: [SealedRecord]) { unsplit.with { $0.append(contentsOf: records) } }

  var isEmpty: Bool { unsplit.with { $0.isEmpty } }
  var unsplitBytes: Int { unsplit.with { $0.reduce(0) { $0 + $1.frame.count } } }

  /// Moves what is published into the segments, durably. After a failure it stays here, and the commit log keeps it.
  func split() throws(StoreError) {
    try splitting.with { _ throws(StoreError) in
      let records = unsplit.with { $0 }
      guard !records.isEmpty else { return }
      try segments.append(records)
      unsplit.with { $0.removeFirst(records.count) }
    }
  }

  /// True when a record of a full commit-log file is not needed there any more: it is in a segment, or was dropped.
  func isSegmented(_ index: LogIndex) -> Bool {
    segments.end.index >= index || (unsplit.with { $0.isEmpty } && partial.with { $0 } == 0)
  }

  /// Durable records of a transaction that is not whole yet; they keep their log file.
  func setPartial(_ count: Int) { partial.with { $0 = count } }
}
