// One side of a comparison, opened: its pages, and a name for each group of them. Groups of equal names hold equal
// pages, because names are keyed hashes under the same key.

import AtRest
import Base
package import Formats
import ShardStore

package struct DiffState: Sendable {
  package let side: DiffReport.Side
  let pageCount: Int
  let groups: [ChunkName]
  /// The pages of a group, one after the other.
  let group: @Sendable (Int) throws(BackupError) -> [UInt8]

  var position: Position { side.position }

  package init(
    _ side: DiffReport.Side, pageCount: Int, groups: [ChunkName],
    group: @escaping @Sendable (Int) throws(BackupError) -> [UInt8]
  ) {
    self.side = side
    self.pageCount = pageCount
    self.groups = groups
    self.group = group
  }

  init(_ reader: SnapshotReader) {
    let header = reader.manifest.header
    side = DiffReport.Side(name: "\(header.snapshot)", position: header.position, createdAt: header.createdAt)
    pageCount = header.databasePages
    groups = reader.manifest.body.groups
    let pages = reader.pages
    group = { (number) throws(BackupError) in try pages.group(number) }
  }

  /// The account where `view` has pinned it. Names are made here, which reads everything once; `known` are those of a
  /// state at the same position.
  init(
    live view: PinnedView, keys: ArchiveKeys, at known: DiffState?, cancellation: CancelFlag,
    progress: @Sendable (Double) -> Void
  ) throws(BackupError) {
    side = DiffReport.Side(name: "live", position: view.position, createdAt: nil)
    pageCount = view.pageCount
    let count = view.pageCount
    let read = { @Sendable (number: Int) throws(BackupError) -> [UInt8] in
      let first = number * Limits.snapshotGroupPages
      var bytes: [UInt8] = []
      bytes.reserveCapacity(Limits.snapshotGroupPages * Limits.pageBytes)
      for page in first..<min(first + Limits.snapshotGroupPages, count) {
        do { bytes += try view.readPage(PageNumber(page + 1)) } catch { throw BackupError(anyOf: error) }
      }
      return bytes
    }
    let recent = RecentGroups(read)
    group = { (number) throws(BackupError) in try recent.group(number) }
    if let known, known.position == view.position {
      groups = known.groups
      return
    }
    let total = (count + Limits.snapshotGroupPages - 1) / Limits.snapshotGroupPages
    var names: [ChunkName] = []
    names.reserveCapacity(total)
    for number in 0..<total {
      try cancellation.check()
      names.append(keys.name(ofDatabase: try read(number)))
      progress(Double(number + 1) / Double(total))
    }
    groups = names
  }
}
