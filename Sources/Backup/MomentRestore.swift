// Builds an account as it was at a moment: the snapshot's pages, the records behind it, then the recordings that the rows
// of the result name. Nothing of it is visible before the target's `finish`, as with a snapshot's restore.

import Base
import Formats

struct MomentRestore: Sendable {
  let reader: MomentReader
  var control = RestoreControl()

  /// What is there now, and which recordings did not come back because their keys were destroyed. Blocks until the account
  /// is in its place, or nothing of it is left, or the process ends.
  func run(into target: any RestoreTarget, progress: @escaping @Sendable (Double) -> Void) throws(BackupError)
    -> (plan: RestorePlan, erased: [RecordingID], carried: Int)
  {
    var plan = reader.restorePlan
    do {
      let meter = ProgressMeter(total: Double(plan.bytes + reader.plan.logBytes), progress)
      let restore = Restore(reader.snapshot, control)
      try restore.writePages(to: target, meter, areFinal: false)
      try replay(into: target, meter)
      let recordings = try reader.recordings(in: TargetPages(target: target))
      let erased = plan.take(recordings, reader.snapshot.recordings)
      try restore.beginRecordings(of: target, pages: reader.plan.databasePages)
      try restore.writeRecordings(recordings, to: target, meter)
      try target.finish()
      return (plan, erased, restore.carried)
    } catch {
      control.cancel.keepsWork ? target.suspend() : target.cancel()
      throw BackupError(anyOf: error)
    }
  }

  private func replay(into target: any RestoreTarget, _ meter: ProgressMeter) throws {
    let pages = TargetPages(target: target)
    switch target.resumed?.step {
    case .recordings?: meter.advance(Int(clamping: reader.plan.logBytes))
    case .replay?:
      try reader.replay(into: ReplayPages(pages, control.cancel, ReplayPages.Base(reader.snapshot)), meter)
    default:
      try target.checkpoint(.replay, pages: reader.snapshot.manifest.header.databasePages)
      try reader.replay(into: ReplayPages(pages, control.cancel), meter)
    }
  }

  private final class TargetPages: MomentPages {
    private let target: any RestoreTarget
    init(target: any RestoreTarget) { self.target = target }
    func readPage(_ number: PageNumber) throws -> [UInt8] { try target.readPage(number) }
    func writePage(_ number: PageNumber, _ bytes: [UInt8]) throws { try target.writePage(number, bytes) }
  }
}

extension RestorePlan {
  /// Puts the moment's own recordings in place of the snapshot's; gives those that were erased since.
  mutating func take(_ recordings: [ManifestBody.Recording], _ keys: any RecordingOpener) -> [RecordingID] {
    take(recordings) { keys.hasKey($0) }
  }

  mutating func take(_ recordings: [ManifestBody.Recording], hasKey: (RecordingID) -> Bool) -> [RecordingID] {
    let there = recordings.filter { hasKey($0.id) }
    self.recordings = there.count
    recordingBytes = there.reduce(0) { $0 + $1.bytes }
    erased = recordings.count - there.count
    missingChunks = 0
    return recordings.map(\.id).filter { !hasKey($0) }
  }
}
