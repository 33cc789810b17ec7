// The way to one position of the log: what an undo goes back to, and a snapshot's own state. Times do not count.

import Base
import Formats

extension MomentPlanner {
  /// `.notFound` when no snapshot of the archive and the records behind it lead there.
  func way(to position: Position) throws(BackupError) -> Way {
    for chain in map.chains {
      let bases = chain.bases.filter { $0.snapshot.position.index <= position.index }
      guard let nearest = bases.last else { continue }
      var time: UnixMicroseconds?
      if nearest.snapshot.position == position {
        time = nearest.time
      } else if let run = chain.runs.first(where: {
        $0.header.first <= position.index && position.index <= $0.header.last
      }) {
        time = try MomentMap.time(of: position, in: run, disk)
      }
      guard let time else { continue }
      return Way(
        bases: bases.reversed().map(\.snapshot), runs: chain.runs, log: log, end: position, time: time,
        isClamped: false, hold: hold)
    }
    throw BackupError(
      .notFound, "the archive does not lead to position \(position): no snapshot and the records behind it reach it",
      path: layout.log)
  }

  /// The snapshot's state and nothing behind it.
  func way(to snapshot: SnapshotID) throws(BackupError) -> Way {
    let listed = try ManifestStore(disk: disk, layout: layout).list().snapshots
    guard let found = listed.last(where: { $0.id == snapshot }) else {
      throw BackupError(.notFound, "there is no snapshot \(snapshot) in the archive", path: layout.manifests)
    }
    return Way(
      bases: [found], runs: [], log: log, end: found.position, time: found.createdAt, isClamped: false, hold: hold)
  }

  /// Transactions behind `position` up to `end`, as the archived log has them.
  func transactions(after position: Position, through end: LogIndex) throws(BackupError) -> Int {
    guard position.index < end,
      let chain = map.chains.last(where: { $0.firstIndex <= position.index + 1 && position.index < $0.lastIndex })
    else { return 0 }
    var count = 0
    try log.walk(chain.runs, behind: position, through: end) { record in
      if record.header.index > position.index, record.header.kind == .pages, !record.header.continues { count += 1 }
      return true
    }
    return count
  }
}
