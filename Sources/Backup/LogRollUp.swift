// Joins small neighbouring runs of the archived log to one, so that a restore opens few files. Nothing is left out: the
// records are the same, in the same order, under the same seals.
//
// The joined run takes the name of its first part in one step; the other parts then hold nothing that it does not, and
// go. Who dies in between leaves runs that overlap, which readers take as they are and the next round removes. The last
// run is the archiver's, which goes on behind it.

import Base
import Disk
import Formats
import ShardStore

struct LogRollUp {
  let disk: any Disk
  let layout: ArchiveLayout
  /// A joined run's frames are at most so long.
  let runBytes: Int

  /// Gives the runs that another one covers now. To be called by one at a time, and not beside the archiver.
  func run() throws(BackupError) -> [LogRun] {
    let list = try ArchivedLog(disk: disk, layout: layout).list()
    // A run that cannot be read may be whole again tomorrow, when somebody has put it back.
    guard list.damaged.isEmpty else { return [] }
    var covered: [LogRun] = []
    var group: [LogRun] = []
    for run in list.runs.dropLast() {
      if let last = group.last?.header, run.header.last <= last.last {
        covered.append(run)
      } else if let last = group.last?.header, follows(run.header, last),
        bytes(group) + run.header.frameBytes <= runBytes
      {
        group.append(run)
      } else {
        covered += try join(group)
        group = [run]
      }
    }
    return covered + (try join(group))
  }

  func remove(_ covered: [LogRun]) throws(BackupError) {
    guard !covered.isEmpty else { return }
    try onDisk { () throws(DiskError) in
      for run in covered { try disk.remove(run.path) }
      try disk.syncDirectory(layout.log)
    }
  }

  private func follows(_ next: LogRunHeader, _ last: LogRunHeader) -> Bool {
    next.first == last.last + 1 && next.previous == last.lastChecksum
  }

  private func bytes(_ group: [LogRun]) -> UInt64 { group.reduce(0) { $0 + $1.header.frameBytes } }

  private func join(_ group: [LogRun]) throws(BackupError) -> [LogRun] {
    guard group.count > 1 else { return [] }
    let contents: [LogRun.Content]
    do throws(BackupError) {
      var read: [LogRun.Content] = []
      for run in group { read.append(try run.read(disk)) }
      contents = read
    } catch {
      guard error.code == .damaged else { throw error }
      return []
    }
    let records = contents.flatMap(\.records)
    let bytes = LogRun.encode(records, key: contents[0].key, previousTime: group[0].header.previousTime)
    let path = group[0].path
    try onDisk { () throws(DiskError) in try disk.replaceFile(path, bytes) }
    let joined = try LogRun.open(path, disk: disk, account: layout.account).read(disk)
    guard joined.records.map(\.position) == records.map(\.position) else {
      throw BackupError(.damaged, "the joined run reads back differently", path: path)
    }
    return Array(group.dropFirst())
  }
}
