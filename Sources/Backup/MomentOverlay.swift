// A snapshot's pages, and in front of them those that records have changed: a moment in memory, written nowhere.

import Base
import Formats
import Threads

final class MomentOverlay: MomentPages {
  private let pages: ArchivePages
  private let count: Int
  private let cancel: CancelFlag
  private let changed = Lock<[PageNumber: [UInt8]]>([:])
  /// 256 MiB of pages.
  static let pagesMax = 1 << 16

  init(_ reader: SnapshotReader, _ cancel: CancelFlag) {
    self.cancel = cancel
    pages = reader.pages
    count = reader.manifest.header.databasePages
  }

  func readPage(_ number: PageNumber) throws -> [UInt8] {
    try cancel.check()
    if let image = changed.with({ $0[number] }) { return image }
    let index = Int(number) - 1
    guard (0..<count).contains(index) else { throw BackupError(.damaged, "page \(number) was never written") }
    let start = index % Limits.snapshotGroupPages * Limits.pageBytes
    return Array(try pages.group(index / Limits.snapshotGroupPages)[start..<(start + Limits.pageBytes)])
  }

  func writePage(_ number: PageNumber, _ bytes: [UInt8]) throws {
    try cancel.check()
    let count = changed.with { changed in
      changed[number] = bytes
      return changed.count
    }
    guard count <= Self.pagesMax else {
      throw BackupError(
        .refused, "more than \(Self.pagesMax) pages have changed since the snapshot before: restore that moment instead"
      )
    }
  }
}
