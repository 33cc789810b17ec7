// Checks the recordings that archived records make exist: each is whole in the packs, unless it was erased. A snapshot's
// proof knows only those that were still there when it was taken.

import Base
import Disk
import Formats
import ShardStore

struct LogRecordingsCheck {
  let disk: any Disk
  let layout: ArchiveLayout
  let opener: ArchivedAccountKeys
  let index: ArchiveIndex
  /// Recordings that somebody has found whole already: they are not opened once more.
  var known: Set<RecordingID> = []

  /// A recording that is not whole.
  struct Loss {
    var recording: RecordingID
    /// Of the record that names it.
    var time: UnixMicroseconds
    var error: BackupError
  }

  /// Runs that do not parse are passed over: they are named elsewhere. Gives the chunks that open, too.
  func run(_ runs: [LogRun]) throws(BackupError) -> (losses: [Loss], chunks: [ChunkName]) {
    var losses: [Loss] = []
    var chunks: [ChunkName] = []
    let replay = RecordReplay(logWrap: opener.logWrap)
    for run in runs {
      guard let content = try? run.read(disk) else { continue }
      for record in content.records where record.header.kind == .recordings {
        guard let ids = try? replay.recordings(of: record) else { continue }
        for id in ids where opener.hasKey(id) && !known.contains(id) {
          do throws(BackupError) { chunks += try self.chunks(of: id) } catch {
            guard error.code == .damaged || error.code == .notFound else { throw error }
            losses.append(Loss(recording: id, time: record.header.time, error: error))
          }
        }
      }
    }
    return (losses, chunks)
  }

  /// Opens each chunk up to the one that says that it is the last.
  private func chunks(of id: RecordingID) throws(BackupError) -> [ChunkName] {
    var names: [ChunkName] = []
    while true {
      let number = names.count
      let name = opener.archive.name(of: id, chunk: number)
      let isLast = try index.read(name) { frame -> Bool? in
        guard let header = try? ChunkHeader(front: frame.body) else { return nil }
        let count = header.isLast ? number + 1 : number + 2
        return opener.open(frame.body, number: number, count: count, of: id) == nil ? nil : header.isLast
      }
      names.append(name)
      if isLast { return names }
    }
  }
}
