// What ownership asks of the control store, and what comes back. Every request has a number; its answer carries it.

package import Base
package import Formats

/// A record with the revision at which it was last put.
package struct OwnershipEntry: Sendable, Equatable, CustomStringConvertible {
  package var record: OwnershipRecord
  package var revision: Int64

  package init(record: OwnershipRecord, revision: Int64) {
    self.record = record
    self.revision = revision
  }

  package var description: String { "\(record) r\(revision)" }
}

package enum OwnershipRequest: Sendable, Equatable, CustomStringConvertible {
  /// All records.
  case list
  case get(AccountID)
  /// All are put, when each key is still at the revision that stands with it, or none.
  case transact([OwnershipEntry])
  /// Changes from this revision on, until the watch ends.
  case watch(from: Int64)

  package var description: String {
    switch self {
    case .list: "list"
    case .get(let account): "get \(String(account.description.suffix(4)))"
    case .transact(let entries): "transact " + entries.map(\.description).joined(separator: ", ")
    case .watch(let revision): "watch from \(revision)"
    }
  }
}

package enum OwnershipAnswer: Sendable, Equatable, CustomStringConvertible {
  case list([OwnershipEntry], revision: Int64)
  case entry(OwnershipEntry?)
  case transacted(succeeded: Bool, revision: Int64)
  /// Of a watch; more may follow.
  case changes([OwnershipEntry], removed: [AccountID], revision: Int64)
  case watchEnded(isCompacted: Bool)
  /// `isUnknown`: a transaction may have been made.
  case failed(isUnknown: Bool)

  package var description: String {
    switch self {
    case .list(let entries, let revision): "list of \(entries.count) r\(revision)"
    case .entry(let entry): "entry \(entry.map { "\($0)" } ?? "none")"
    case .transacted(let succeeded, let revision): "\(succeeded ? "made" : "refused") r\(revision)"
    case .changes(let entries, let removed, let revision):
      "changes \(entries.map(\.description).joined(separator: ", ")) removed \(removed.count) r\(revision)"
    case .watchEnded(let isCompacted): "watch \(isCompacted ? "compacted" : "ended")"
    case .failed(let isUnknown): isUnknown ? "unknown" : "unavailable"
    }
  }
}
