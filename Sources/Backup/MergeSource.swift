// The old state that a merge reads: a snapshot as it lies in the archive, or a moment, which is a snapshot and the pages
// that the archived log changed since. Nothing of it is written anywhere.

import AtRest
import Base
import Disk
import Formats
import SQLite
import ShardStore
import Threads

struct MergeSource: Sendable {
  let side: DiffReport.Side
  let host: ReadOnlyPages
  /// Opens chunks of recordings, of the moment's too.
  let reader: SnapshotReader

  static func open(
    _ point: MergePoint, disk: any Disk, layout: ArchiveLayout, unlockedBy unlock: KeyringUnlock
  ) throws(BackupError) -> MergeSource {
    switch point {
    case .snapshot(let id):
      let path = try ManifestStore(disk: disk, layout: layout).path(of: id)
      let reader = try SnapshotReader.open(path: path, disk: disk, layout: layout, unlockedBy: unlock)
      return MergeSource(reader)
    case .moment(let moment):
      let opener = try ArchivedAccountKeys.read(disk: disk, layout: layout, unlockedBy: unlock)
      return try MergeSource(try MomentReader.open(at: moment, disk: disk, layout: layout, opener))
    }
  }

  init(_ reader: SnapshotReader) {
    let header = reader.manifest.header
    side = DiffReport.Side(name: "\(header.snapshot)", position: header.position, createdAt: header.createdAt)
    host = reader.pages.host
    self.reader = reader
  }

  init(_ reader: MomentReader) throws(BackupError) {
    let pages = ChangedPages(under: reader.snapshot.pages, count: reader.snapshot.manifest.header.databasePages)
    try reader.replay(into: pages, ProgressMeter(total: Double(max(reader.plan.logBytes, 1))) { _ in })
    side = DiffReport.Side(
      name: RFC3339.text(reader.plan.time), position: reader.plan.end, createdAt: reader.plan.time)
    host = pages.host(count: reader.plan.databasePages)
    self.reader = reader.snapshot
  }

  /// Runs `body` on a connection of its own to the old state, whose own needs for room are met in memory.
  func query<T>(_ body: (Connection) throws -> T) throws -> T {
    do {
      let connection = try Connection(pages: PagesVFS(host: host), readOnly: true)
      try connection.execute("PRAGMA temp_store=memory")
      return try body(connection)
    } catch {
      // A page that could not be read is thrown as what it was, not as SQLite's code.
      if let failure = host.failure { throw failure }
      throw error
    }
  }

  /// A snapshot's pages with those over them that its log changed.
  final class ChangedPages: MomentPages {
    private let under: ArchivePages
    private let count: Int
    private let changed = Lock<[PageNumber: [UInt8]]>([:])

    init(under: ArchivePages, count: Int) { (self.under, self.count) = (under, count) }

    func readPage(_ number: PageNumber) throws -> [UInt8] {
      try page(number)
    }

    private func page(_ number: PageNumber) throws(BackupError) -> [UInt8] {
      if let page = changed.with({ $0[number] }) { return page }
      guard number >= 1, Int(number) <= count else {
        throw BackupError(.damaged, "page \(number) of the moment is missing")
      }
      let index = Int(number) - 1
      let start = index % Limits.snapshotGroupPages * Limits.pageBytes
      return Array(try under.group(index / Limits.snapshotGroupPages)[start..<(start + Limits.pageBytes)])
    }

    func writePage(_ number: PageNumber, _ bytes: [UInt8]) throws {
      let isFull = changed.with { pages in
        guard pages.count < MergeLimits.momentPagesMax || pages[number] != nil else { return true }
        pages[number] = bytes
        return false
      }
      guard !isFull else {
        throw BackupError(
          .refused,
          "too much changed between that moment and the snapshot before it: restore the moment under another name, or merge "
            + "from a snapshot")
      }
    }

    func host(count: Int) -> ReadOnlyPages {
      ReadOnlyPages(pageCount: count) { [self] (number) throws(BackupError) in try page(number)[...] }
    }
  }
}
