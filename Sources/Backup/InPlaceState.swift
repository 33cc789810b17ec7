// The state that an account is to have again, compared with the one that it has: only pages that differ are kept.
//
// Which groups may differ the log says (`PinnedSource.changes` since the snapshot): a small change in a large account costs
// what changed. Where it cannot, live groups are named, and those with the snapshot's name are equal. The result is the
// pinned view with other pages over it, so nothing is read from the archive twice.

import Base
import Formats
import SQLite
import ShardStore

struct InPlaceState: Sendable {
  let reader: MomentReader
  let source: PinnedSource
  /// Pages that differ from the view's, and all behind its end.
  let images: [PageNumber: [UInt8]]
  var pageCount: Int { reader.plan.databasePages }

  private static var groupPages: Int { Limits.snapshotGroupPages }

  /// Blocks. `changes` is what the log knows of groups that changed since the snapshot. `.refused` when more than
  /// `pagesMax` pages differ.
  init(
    _ reader: MomentReader, _ source: PinnedSource, changes: DatabaseChanges?, spool: ReplacementSpool, pagesMax: Int,
    _ meter: ProgressMeter
  ) throws(BackupError) {
    self.reader = reader
    self.source = source
    let pages = SpooledPages(reader.snapshot, spool)
    try reader.replay(into: pages, meter)
    var comparison = Comparison(reader, source, pages, pagesMax: pagesMax)
    let groups = (reader.plan.databasePages + Self.groupPages - 1) / Self.groupPages
    let wanted = changes.map { comparison.candidates($0, of: groups) } ?? Array(0..<groups)
    for group in wanted {
      try comparison.take(group, isNamed: changes == nil)
      meter.advance(Self.groupPages * Limits.pageBytes * groups / wanted.count)
    }
    images = comparison.images
  }

  /// The state as a database.
  var host: ReadOnlyPages {
    let (images, view) = (images, source.view)
    return ReadOnlyPages(pageCount: pageCount) { (number) throws(BackupError) in
      if let image = images[number] { return image[...] }
      do { return try view.readPage(number)[...] } catch { throw BackupError(anyOf: error) }
    }
  }

  func checkIntegrity() throws(BackupError) { try Self.checkIntegrity(of: host, "the database at that state") }

  static func checkIntegrity(of host: ReadOnlyPages, _ what: String) throws(BackupError) {
    let rows = try host.query { try $0.query("PRAGMA integrity_check(20)") }
    guard rows == [[.text("ok")]] else {
      let first = rows.first?.first.map { "\($0)" } ?? "no answer"
      throw BackupError(.damaged, "\(what) fails its integrity check: \(first)")
    }
  }

  /// What its rows name.
  func recordings() throws(BackupError) -> [ManifestBody.Recording] {
    try host.query { connection in
      try RecordingRows.all(in: connection).map { .init(id: $0.id, bytes: $0.bytes, chunks: $0.chunks, root: $0.root) }
    }
  }
}

/// The snapshot's pages, with those over them that the log's replay has written.
private final class SpooledPages: MomentPages {
  // Invariant: used by the thread that prepares; the spool asks for the same.
  private let snapshot: ArchivePages
  private let snapshotPages: Int
  private let spool: ReplacementSpool

  init(_ reader: SnapshotReader, _ spool: ReplacementSpool) {
    snapshot = reader.pages
    snapshotPages = reader.manifest.header.databasePages
    self.spool = spool
  }

  func readPage(_ number: PageNumber) throws -> [UInt8] {
    if let page = try spool.read(number) { return page }
    let index = Int(number) - 1
    guard index < snapshotPages else { return PageChange.zeros }
    let start = index % Limits.snapshotGroupPages * Limits.pageBytes
    return Array(try snapshot.group(index / Limits.snapshotGroupPages)[start..<(start + Limits.pageBytes)])
  }

  func writePage(_ number: PageNumber, _ bytes: [UInt8]) throws { try spool.write(number, bytes) }

  func isSpooled(group: Int) -> Bool {
    let first = group * Limits.snapshotGroupPages + 1
    return (first..<(first + Limits.snapshotGroupPages)).contains { spool.has(PageNumber($0)) }
  }
}

private struct Comparison {
  let manifest: Manifest
  let keys: ArchiveKeys
  let source: PinnedSource
  let wanted: SpooledPages
  let wantedPages: Int
  let livePages: Int
  let pagesMax: Int
  var images: [PageNumber: [UInt8]] = [:]

  init(_ reader: MomentReader, _ source: PinnedSource, _ wanted: SpooledPages, pagesMax: Int) {
    manifest = reader.snapshot.manifest
    keys = reader.snapshot.keys
    self.source = source
    self.wanted = wanted
    wantedPages = reader.plan.databasePages
    livePages = source.view.pageCount
    self.pagesMax = pagesMax
  }

  /// What a record since the snapshot wrote, on the way to the wanted state or after it; and what was cut away meanwhile.
  func candidates(_ changes: DatabaseChanges, of groups: Int) -> [Int] {
    let before = manifest.header.databasePages
    let kept = min(before, livePages, wantedPages, changes.fewestPages ?? before) / Limits.snapshotGroupPages
    return (0..<groups).filter { $0 >= kept || changes.groups.contains($0) }
  }

  mutating func take(_ group: Int, isNamed: Bool) throws(BackupError) {
    do {
      let first = group * Limits.snapshotGroupPages + 1
      let last = min(first + Limits.snapshotGroupPages - 1, wantedPages)
      var live: [[UInt8]?] = []
      for number in first...last { live.append(try livePage(PageNumber(number))) }
      if isNamed, try isEqual(group, live) { return }
      for number in first...last {
        let page = try wanted.readPage(PageNumber(number))
        guard page != live[number - first] else { continue }
        images[PageNumber(number)] = page
        guard images.count < pagesMax else {
          throw BackupError(
            .refused,
            "more than \(pagesMax) pages differ, which is what one transaction may change: restore beside, with --as NAME"
          )
        }
      }
    } catch { throw BackupError(anyOf: error) }
  }

  /// Nil behind the end, and for a page that is damaged: whatever comes in its place differs.
  private func livePage(_ number: PageNumber) throws -> [UInt8]? {
    guard number <= livePages else { return nil }
    do { return try source.view.readPage(number) } catch {
      guard error.code == .damaged else { throw error }
      return nil
    }
  }

  private func isEqual(_ group: Int, _ live: [[UInt8]?]) throws -> Bool {
    guard group < manifest.body.groups.count, !wanted.isSpooled(group: group),
      manifest.groupBytes(group) == live.count * Limits.pageBytes
    else { return false }
    let pages = live.compactMap { $0 }
    return pages.count == live.count && keys.name(ofDatabase: pages.flatMap { $0 }) == manifest.body.groups[group]
  }
}
