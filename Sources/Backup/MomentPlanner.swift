// Finds the snapshot and the records that give back one moment, or says why no archive file does.

import Base
import Disk
import Formats
import OpenSSL
import ShardStore

struct MomentPlanner {
  let disk: any Disk
  let layout: ArchiveLayout
  let map: MomentMap
  /// While it is used nothing expires below it.
  let hold: (any DirectoryHold)?
  var log: ArchivedLog { ArchivedLog(disk: disk, layout: layout) }

  init(disk: any Disk, layout: ArchiveLayout) throws(BackupError) {
    self.disk = disk
    self.layout = layout
    // There is no directory before the first snapshot.
    hold = try onDisk { () throws(DiskError) in
      try disk.info(layout.directory) == nil ? nil : disk.hold(layout.directory, .shared)
    }
    map = try MomentMap.read(disk, layout)
  }

  /// The snapshots that it can begin with, the nearest first, the runs behind them, the record to end at.
  struct Way {
    var bases: [SnapshotInfo]
    var runs: [LogRun]
    var log: ArchivedLog
    var end: Position
    var time: UnixMicroseconds
    var isClamped: Bool
    /// While it is kept nothing expires on the way.
    var hold: (any DirectoryHold)?
  }

  /// `.notFound` before everything that the archive holds, `.refused` in a gap. A moment behind everything gives the
  /// newest state, `isClamped`, since nobody can tell from files whether more came.
  func way(to moment: UnixMicroseconds) throws(BackupError) -> Way {
    let (chain, isClamped) = try chain(for: moment)
    let end = try end(in: chain, moment)
    let bases = chain.bases.filter { base in
      guard let end else { return base.time <= moment || base.snapshot.position.index < chain.firstIndex }
      return base.snapshot.position.index <= end.position.index
    }
    guard let nearest = bases.last else {
      throw BackupError(.damaged, "no snapshot fits the archived log before \(RFC3339.text(moment))", path: layout.log)
    }
    let place = end ?? (nearest.snapshot.position, nearest.time)
    return Way(
      bases: bases.reversed().map(\.snapshot), runs: chain.runs, log: log, end: place.position, time: place.time,
      isClamped: isClamped, hold: hold)
  }

  private func chain(for moment: UnixMicroseconds) throws(BackupError) -> (MomentMap.Chain, isClamped: Bool) {
    let spans = map.spans
    guard let oldest = spans.map(\.from).min() else {
      throw BackupError(.notFound, "the archive holds no snapshot", path: layout.manifests)
    }
    guard moment >= oldest else {
      throw BackupError(
        .notFound,
        "\(RFC3339.text(moment)) lies before the oldest snapshot: the first moment that can be restored is "
          + RFC3339.text(oldest), path: layout.manifests)
    }
    // Without a log every snapshot stands for itself: the newest state that is not after the moment, by position.
    guard map.hasLog else { return (map.chains.last { $0.span!.from <= moment }!, true) }
    let candidates = map.chains.indices.filter { (map.chains[$0].span?.from ?? .max) <= moment }
    let chosen = candidates.last { map.chains[$0].span!.through >= moment } ?? candidates.last!
    let span = map.chains[chosen].span!
    if moment <= span.through { return (map.chains[chosen], false) }
    guard let gap = gap(behind: chosen) else { return (map.chains[chosen], true) }
    throw BackupError(.refused, self.message(moment, gap, span), path: layout.log)
  }

  private struct Gap {
    var first: LogIndex
    var last: LogIndex
    /// Restorable again from here on.
    var next: UnixMicroseconds?
  }

  /// What is missing behind a chain; nil when nothing shows that more ever was.
  private func gap(behind chain: Int) -> Gap? {
    let end = map.chains[chain].lastIndex
    guard let next = map.chains.dropFirst(chain + 1).first(where: { $0.lastIndex > end }) else { return nil }
    let usable = map.chains.dropFirst(chain + 1).compactMap(\.span).map(\.from).min()
    let last = next.runs.isEmpty ? next.firstIndex : next.firstIndex - 1
    return Gap(first: end + 1, last: max(last, end + 1), next: usable)
  }

  private func message(_ moment: UnixMicroseconds, _ gap: Gap, _ span: MomentSpan) -> String {
    let nearest = "the nearest moments that can be restored are \(RFC3339.text(span.through))"
    return
      "\(RFC3339.text(moment)) lies behind a gap: records \(gap.first) to \(gap.last) are in no file of the archived "
      + "log; \(nearest)\(gap.next.map { " and \(RFC3339.text($0))" } ?? ", and nothing after it")"
  }

  /// The last record up to `moment` with which a transaction ends; nil when the chain begins later.
  private func end(in chain: MomentMap.Chain, _ moment: UnixMicroseconds) throws(BackupError) -> (
    position: Position, time: UnixMicroseconds
  )? {
    guard let last = chain.runs.lastIndex(where: { $0.header.firstTime <= moment }) else { return nil }
    for run in chain.runs[...last].reversed() {
      let records = try run.read(disk).records
      let upTo = records.firstIndex { $0.header.time > moment } ?? records.count
      if let found = records[..<upTo].last(where: { !$0.header.continues }) {
        return (found.position, found.header.time)
      }
    }
    return nil
  }
}
