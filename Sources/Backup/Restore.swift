// Builds an account from a snapshot: plan, verify, build beside, give it its place.
//
// Until the target's `finish` nothing of it is visible, and a restore that was killed is simply run again. Every chunk
// is opened and compared with its name before it is written; recordings are sealed anew, because a seal binds the
// account.

package import AtRest
package import Base
import Formats

/// Where a restored account is built: pages from one thread, then recordings from several at the same time, then the end.
package protocol RestoreTarget: AnyObject, Sendable {
  /// Page `number` from 1; the last image of a page counts.
  func writePage(_ number: PageNumber, _ bytes: [UInt8]) throws
  /// A page that was written before.
  func readPage(_ number: PageNumber) throws -> [UInt8]
  /// A recording under the id it had; `next` gives it chunk by chunk, nil at the end.
  func addRecording(_ recording: RecordingID, _ next: () throws -> CodedChunk?) throws
  /// Makes all of it durable and visible at once.
  func finish() throws
  func cancel()
}

package struct Restore: Sendable {
  private let reader: SnapshotReader

  package init(_ reader: SnapshotReader) { self.reader = reader }

  package var plan: RestorePlan { RestorePlan(reader) }

  /// Recordings that do not come back because their keys were destroyed.
  package var erased: [RecordingID] {
    reader.manifest.body.recordings.map(\.id).filter { !reader.recordings.hasKey($0) }
  }

  /// Blocks until the account is in its place, or nothing of it is left.
  package func run(into target: any RestoreTarget, progress: @escaping @Sendable (Double) -> Void = { _ in })
    throws(BackupError)
  {
    let plan = plan
    do {
      guard plan.missingChunks == 0 else {
        throw BackupError(.damaged, "\(plan.missingChunks) chunks of the snapshot are in no pack of the archive")
      }
      try reader.checkIntegrity()
      let meter = ProgressMeter(total: Double(plan.bytes), progress)
      try writePages(to: target, meter)
      try writeRecordings(reader.manifest.body.recordings, to: target, meter)
      try target.finish()
    } catch {
      target.cancel()
      throw BackupError(anyOf: error)
    }
  }

  func writePages(to target: any RestoreTarget, _ meter: ProgressMeter) throws {
    let pages = reader.pages
    for group in reader.manifest.body.groups.indices {
      let bytes = try pages.open(group: group)
      var number = PageNumber(group * Limits.snapshotGroupPages + 1)
      for start in stride(from: 0, to: bytes.count, by: Limits.pageBytes) {
        try target.writePage(number, Array(bytes[start..<(start + Limits.pageBytes)]))
        number += 1
      }
      meter.advance(bytes.count)
    }
  }

  func writeRecordings(
    _ recordings: [ManifestBody.Recording], to target: any RestoreTarget, _ meter: ProgressMeter
  ) throws {
    let reader = reader
    let wanted = recordings.filter { reader.recordings.hasKey($0.id) }
    try BackupWork.forEach(wanted.count) { i in try Self.write(wanted[i], from: reader, to: target, meter) }
  }

  /// Each chunk is decoded and its name compared, but goes on as it was coded: under another seal, which binds the account.
  private static func write(
    _ recording: ManifestBody.Recording, from reader: SnapshotReader, to target: any RestoreTarget,
    _ meter: ProgressMeter
  ) throws {
    var number = 0
    var names: [[UInt8]] = []
    try target.addRecording(recording.id) {
      guard number < recording.chunks else { return nil }
      let chunk = try reader.opened(number, of: recording)
      names.append(reader.recordings.name(ofChunk: chunk.original))
      number += 1
      meter.advance(chunk.original.count)
      return chunk.coded
    }
    guard RecordingRoot.hash(names) == recording.root else {
      throw BackupError(.damaged, "recording \(recording.id) is not what its row says")
    }
  }
}
