// Makes the moments that an archive promises, in memory: of each snapshot the last moment before the next one, and the end
// of the log. On the way there every record is opened and every page that it changes compared with its hash, so all moments
// between are passed as well; at the end SQLite looks at the database, and its rows' recordings have to be in the packs.

import Base
import Disk
import Formats
import ShardStore

struct VerifyMoments {
  let disk: any Disk
  let layout: ArchiveLayout
  let opener: ArchivedAccountKeys
  /// Recordings that were found whole before.
  let known: Set<RecordingID>
  let cancel: CancelFlag

  func run(_ report: inout VerifyReport) throws(BackupError) {
    let map = try MomentMap.read(disk, layout)
    for chain in map.chains {
      guard let span = chain.span else { continue }
      var ends = chain.bases.dropFirst().map { $0.time - 1 }.filter { $0 >= span.from }
      ends.append(span.through)
      for moment in ends {
        try cancel.check()
        try make(moment, &report)
      }
    }
    try checkRecordings(&report)
  }

  private func make(_ moment: UnixMicroseconds, _ report: inout VerifyReport) throws(BackupError) {
    do throws(BackupError) {
      let reader = try MomentReader.open(at: moment, disk: disk, layout: layout, opener)
      let pages = MomentOverlay(reader.snapshot, cancel)
      try reader.replay(into: pages, ProgressMeter(total: 1) { _ in })
      try reader.checkIntegrity(of: pages)
      _ = try reader.recordings(in: pages)
      if !report.summaries.isEmpty { report.summaries[report.summaries.count - 1].moments += 1 }
    } catch {
      if error.code == .refused {
        report.notes.append("\(layout.directory): the moment \(RFC3339.text(moment)) was not made: \(error.message)")
        return
      }
      guard error.code == .damaged || error.code == .notFound || error.code == .failed else { throw error }
      guard !report.names(error) else { return }
      report.note(
        BackupError(
          .damaged, "the moment \(RFC3339.text(moment)) cannot be made: \(error.message)", path: error.path,
          offset: error.offset), in: layout.log)
    }
  }

  private func checkRecordings(_ report: inout VerifyReport) throws(BackupError) {
    let index = ArchiveIndex(disk: disk, layout: layout)
    try index.refresh()
    let check = LogRecordingsCheck(disk: disk, layout: layout, opener: opener, index: index, known: known)
    let (losses, chunks) = try check.run(try ArchivedLog(disk: disk, layout: layout).list().runs)
    report.units += chunks.count
    for loss in losses where !report.names(loss.error) { report.note(loss.error, in: layout.packs) }
  }
}
