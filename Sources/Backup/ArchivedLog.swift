// The archived log of one account: its runs by index, and a walk over the records of several.

package import Base
package import Disk
package import Formats

package struct ArchivedLog: Sendable {
  let disk: any Disk
  let layout: ArchiveLayout

  package init(disk: any Disk, layout: ArchiveLayout) {
    self.disk = disk
    self.layout = layout
  }

  package struct List: Sendable {
    /// By first index.
    package var runs: [LogRun]
    /// Files that cannot be read; each error has its path.
    package var damaged: [BackupError]
  }

  /// All runs, from their headers alone.
  package func list() throws(BackupError) -> List {
    var list = List(runs: [], damaged: [])
    for name in try names() {
      do throws(BackupError) {
        list.runs.append(try LogRun.open("\(layout.log)/\(name)", disk: disk, account: layout.account))
      } catch {
        guard error.code == .damaged else { throw error }
        list.damaged.append(error)
      }
    }
    return list
  }

  /// Names of finished runs, which sort by first index.
  func names() throws(BackupError) -> [String] {
    do throws(DiskError) {
      return try disk.list(layout.log).filter { LogRunHeader.first(ofFile: $0) != nil }.sorted()
    } catch {
      guard error.code == .notFound else { throw BackupError(error) }
      return []
    }
  }

  /// Gives the records of `runs` behind `start` through `end`, each once and in the order of the log, with key records in
  /// front where they are needed to open what follows: those have an index up to `start`. Stops when `body` says false.
  package func walk(
    _ runs: [LogRun], behind start: Position, through end: LogIndex,
    _ body: (SealedRecord) throws -> Bool
  ) throws(BackupError) {
    var at = start
    var isFirst = true
    for run in runs where run.header.last > start.index && run.header.first <= end {
      let content = try run.read(disk)
      do {
        if isFirst, let key = content.key { guard try body(key) else { return } }
        isFirst = false
        for record in content.records where record.header.index <= end {
          guard record.header.index > at.index else {
            if record.header.index == at.index, record.header.checksum != at.checksum {
              throw BackupError(
                .damaged, "record \(record.position) is not the one that was archived before", path: run.path)
            }
            if record.header.index <= start.index, record.header.carriesKey { guard try body(record) else { return } }
            continue
          }
          guard record.header.index == at.index + 1, record.header.previous == at.checksum else {
            throw BackupError(.damaged, "record \(record.position) does not follow \(at)", path: run.path)
          }
          guard try body(record) else { return }
          at = record.position
        }
      } catch { throw BackupError(anyOf: error) }
    }
  }
}
