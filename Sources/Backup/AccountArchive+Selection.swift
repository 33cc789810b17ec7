// A restore of chosen rows and recordings into an account of its own.

package import AtRest
package import Base
import Formats
package import ShardStore

/// What is to be restored in part, and what opens the archive.
package struct SelectionRequest: Sendable {
  package var point: MergePoint
  package var selection: RowSelection
  package var unlock: KeyringUnlock

  package init(_ point: MergePoint, _ selection: RowSelection, unlockedBy unlock: KeyringUnlock) {
    (self.point, self.selection, self.unlock) = (point, selection, unlock)
  }
}

extension AccountArchive {
  /// What restoring the chosen part would bring.
  package func plan(_ request: SelectionRequest) async throws -> SelectionSummary {
    let (disk, layout) = (disk, layout)
    return try await BackupWork.perform {
      let source = try MergeSource.open(request.point, disk: disk, layout: layout, unlockedBy: request.unlock)
      return try SelectedDatabase(source, request.selection).summary
    }
  }

  /// Builds `account`, which must not exist, from the chosen rows and recordings; all else is left out. When it returns the
  /// account is there; when it throws or the process dies nothing of it is.
  package func restore(
    _ request: SelectionRequest, as account: AccountID, into engine: Engine,
    placed: @Sendable () async throws -> Void = {}, progress: @escaping @Sendable (Double) -> Void = { _ in }
  ) async throws -> SelectionSummary {
    guard account != layout.account else {
      throw BackupError(.refused, "a restored account has an id of its own; \(account) is the archive's")
    }
    let (disk, layout) = (disk, layout)
    let summary = try await BackupWork.perform {
      let opener = try ArchivedAccountKeys.read(disk: disk, layout: layout, unlockedBy: request.unlock)
      let source = try MergeSource.open(request.point, disk: disk, layout: layout, unlockedBy: request.unlock)
      let selected = try SelectedDatabase(source, request.selection)
      let target: RestoreBuilder
      do {
        target = try engine.beginRestore(
          as: account, base: source.side.position, pageCount: selected.pages.count, recordingName: opener.recordingName)
      } catch { throw BackupError(anyOf: error) }
      do {
        let total = selected.summary.databaseBytes + selected.summary.recordingBytes
        let meter = ProgressMeter(total: Double(max(total, 1)), progress)
        try selected.write(to: target)
        meter.advance(Int(selected.summary.databaseBytes))
        // Of a part little is saved by trusting a proof about the whole.
        let control = RestoreControl()
        control.doubt.set()
        try Restore(source.reader, control).writeRecordings(selected.recordings, to: target, meter)
        try target.finish()
      } catch {
        target.cancel()
        throw BackupError(anyOf: error)
      }
      return selected.summary
    }
    do { try await placed() } catch { throw BackupError(anyOf: error) }
    return summary
  }
}

extension RestorePlan {
  /// Puts the chosen part in place of everything.
  mutating func take(_ selected: SelectedDatabase) {
    databaseBytes = selected.summary.databaseBytes
    recordings = Int(selected.summary.recordings)
    recordingBytes = selected.summary.recordingBytes
    erased = Int(selected.summary.erased)
    missingChunks = 0
  }
}
