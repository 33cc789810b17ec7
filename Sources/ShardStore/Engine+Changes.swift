// Which groups of a database's pages changed between two positions of its log, read from the log itself: a snapshot costs
// what changed since the last one, also after a restart.
//
// Records are opened from the key record of their epoch on, which may lie before the first position: an epoch's first
// record and every mark carry the key.

import AtRest
package import Base
import Formats

/// What a run of records did to a database, in groups of neighbouring pages.
package struct DatabaseChanges: Sendable, Equatable {
  /// Groups, from 0, that a record wrote a page of.
  package var groups: Set<Int> = []
  /// The fewest pages that the database had after any of the records; nil when none of them held pages.
  package var fewestPages: Int?
  package var records = 0
  package init() {}
}

extension Engine {
  /// What changed in `id`'s database after `since` up to `until`, both positions of its log; `groupPages` pages make a group.
  ///
  /// Nil when the log cannot say: it no longer reaches back so far, `since` was never a place in it (another history, as
  /// after a restore), its end is not durable here yet, or the records are longer than `bytesMax`, so that reading the
  /// database is cheaper. Throws when the log is damaged. Reads on a reader's thread.
  package func changes(
    _ id: AccountID, after since: Position, to until: Position, groupPages: Int, bytesMax: Int
  ) async throws -> DatabaseChanges? {
    guard since != until else { return DatabaseChanges() }
    guard since.index < until.index else { return nil }
    return try await onReader {
      let shard = try self.openNow(id)
      let scan = ChangeScan(
        shard.accountLog,
        RecordOpener(
          logWrap: shard.keyring.logWrap, plain: self.configuration.plantedBugs.contains(.sealingOff)))
      return try scan.run(after: since, to: until, groupPages: groupPages, bytesMax: bytesMax)
    }
  }
}

private struct ChangeScan {
  private static let pieceBytes = 2 << 20
  private let log: AccountLog
  private let opener: RecordOpener

  init(_ log: AccountLog, _ opener: RecordOpener) {
    self.log = log
    self.opener = opener
  }

  func run(
    after since: Position, to until: Position, groupPages: Int, bytesMax: Int
  ) throws(StoreError) -> DatabaseChanges? {
    var changes = DatabaseChanges()
    var (previous, bytes) = (since, 0)
    while previous.index < until.index {
      guard let records = try log.records(from: previous.index + 1, bytesMax: Self.pieceBytes), !records.isEmpty else {
        return nil
      }
      for record in records.prefix(while: { $0.header.index <= until.index }) {
        guard record.header.index == previous.index + 1, record.header.previous == previous.checksum else { return nil }
        bytes += record.frame.count
        guard bytes <= bytesMax else { return nil }
        if record.header.kind == .pages, !opener.hasKey(of: record.header.epoch) {
          guard try findKey(of: record.header.epoch, before: record.header.index) else { return nil }
        }
        note(try opener.open(record), &changes, groupPages)
        previous = record.position
      }
    }
    // Equal indexes of different histories have different checksums.
    return previous.checksum == until.checksum ? changes : nil
  }

  private func note(_ content: RecordOpener.Content, _ changes: inout DatabaseChanges, _ groupPages: Int) {
    changes.records += 1
    guard case .pages(let payload) = content else { return }
    for change in payload.changes { changes.groups.insert((Int(change.number) - 1) / groupPages) }
    changes.fewestPages = min(changes.fewestPages ?? .max, Int(payload.databasePages))
  }

  /// Opens the newest record before `index` that carries the key of `epoch`; false when the log has none.
  private func findKey(of epoch: Epoch, before index: LogIndex) throws(StoreError) -> Bool {
    guard let record = try log.keyRecord(before: index), record.header.epoch == epoch else { return false }
    _ = try opener.open(record)
    return true
  }
}
