// The pages of a target while the log's records are applied to them.
//
// A restore that was killed in the middle of that begins with the first record again. What differences are made from is
// then read out of the snapshot, since some pages of the target are newer; all that records touch are written anew.

import Base
import Formats
import Threads

/// Used by one thread.
final class ReplayPages: MomentPages {
  /// The snapshot's own pages, in place of those that an earlier run may have changed.
  struct Base {
    let pages: ArchivePages
    let count: Int

    init(_ reader: SnapshotReader) {
      pages = reader.pages
      count = reader.manifest.header.databasePages
    }

    func page(_ number: PageNumber) throws -> [UInt8] {
      let index = Int(number) - 1
      let start = index % Limits.snapshotGroupPages * Limits.pageBytes
      return Array(try pages.group(index / Limits.snapshotGroupPages)[start..<(start + Limits.pageBytes)])
    }
  }

  private let pages: any MomentPages
  private let cancel: CancelFlag
  private let base: Base?
  private let written = Lock<Set<PageNumber>>([])

  init(_ pages: any MomentPages, _ cancel: CancelFlag, _ base: Base? = nil) {
    self.pages = pages
    self.cancel = cancel
    self.base = base
  }

  func readPage(_ number: PageNumber) throws -> [UInt8] {
    try cancel.check()
    if let base, Int(number) <= base.count, !written.with({ $0.contains(number) }) { return try base.page(number) }
    return try pages.readPage(number)
  }

  func writePage(_ number: PageNumber, _ bytes: [UInt8]) throws {
    try cancel.check()
    if base != nil { written.with { _ = $0.insert(number) } }
    try pages.writePage(number, bytes)
  }
}
