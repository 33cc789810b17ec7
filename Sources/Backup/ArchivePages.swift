// A snapshot's database as SQLite sees it: read-only pages that come straight out of the archive's chunks.
//
// So a snapshot is queried and checked without being written anywhere first: nothing of the tenant's lies in the open,
// and memory is bounded by a few groups however large the database is. A chunk that does not open stops the query; the
// reason is kept in `failure`.

import Base
import Formats
import Threads

package final class ArchivePages: Sendable {
  private struct State {
    /// Group number to its pages.
    var groups: [Int: [UInt8]] = [:]
    /// Groups by last use, the oldest first.
    var order: [Int] = []
  }

  private let manifest: Manifest
  private let index: ArchiveIndex
  private let coder: DatabaseChunkCoder
  private let state = Lock(State())
  /// 8 MiB of pages.
  static let groupsMax = 128

  package init(manifest: Manifest, index: ArchiveIndex, keys: ArchiveKeys) {
    self.manifest = manifest
    self.index = index
    coder = DatabaseChunkCoder(keys: keys)
  }

  /// The snapshot's database for SQLite.
  package var host: ReadOnlyPages {
    ReadOnlyPages(pageCount: manifest.header.databasePages) { [self] (number) throws(BackupError) in
      let index = Int(number) - 1
      let start = index % Limits.snapshotGroupPages * Limits.pageBytes
      return try group(index / Limits.snapshotGroupPages)[start..<(start + Limits.pageBytes)]
    }
  }

  /// Pages of one group, opened and compared with their name.
  package func group(_ number: Int) throws(BackupError) -> [UInt8] {
    let cached = state.with { s -> [UInt8]? in
      guard let pages = s.groups[number] else { return nil }
      if s.order.last != number, let i = s.order.lastIndex(of: number) {
        s.order.remove(at: i)
        s.order.append(number)
      }
      return pages
    }
    if let cached { return cached }
    let pages = try open(group: number)
    state.with { s in
      if s.groups.updateValue(pages, forKey: number) == nil { s.order.append(number) }
      if s.order.count > Self.groupsMax { s.groups[s.order.removeFirst()] = nil }
    }
    return pages
  }

  /// As `group`, past the cache: for reading everything once.
  package func open(group number: Int) throws(BackupError) -> [UInt8] { try opened(group: number).pages }

  /// The same, with the mark of the frame that they came out of.
  func opened(group number: Int) throws(BackupError) -> (pages: [UInt8], mark: FrameMark) {
    let (coder, expected) = (coder, manifest.groupBytes(number))
    return try index.read(manifest.body.groups[number]) { frame -> ([UInt8], FrameMark)? in
      guard let pages = coder.open(frame.header, body: frame.body), pages.count == expected else { return nil }
      return (pages, FrameMark(frame, coder.keys))
    }
  }
}
