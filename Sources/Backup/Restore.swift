// Builds an account from a snapshot: plan, verify, build beside, give it its place.
//
// Until the target's `finish` nothing of it is visible. Every group of pages is opened and compared with its name before it
// is written; so is every chunk of a recording, or it is carried over as it was coded and a proof vouches for it at the end
// (`Restore+Carrying.swift`). Recordings are sealed anew, because a seal binds the account. A restore that was killed goes on
// from what its target had made durable: pages are compared with the names of their groups, recordings with their roots, and
// only what is not there is read from the archive again.

package import AtRest
package import Base
package import Formats
package import OpenSSL

/// Where a restored account is built: groups of pages from several threads at the same time, single ones from one, then
/// recordings from several, then the end.
package protocol RestoreTarget: AnyObject, Sendable {
  /// Page `number` from 1; the last image of a page counts.
  func writePage(_ number: PageNumber, _ bytes: [UInt8]) throws
  /// Whole pages, `first` in front; several threads at the same time, none of them the same pages.
  func writePages(from first: PageNumber, _ bytes: [UInt8]) throws
  /// Of the database at its end.
  var pageCount: Int { get }
  /// A page that was written before.
  func readPage(_ number: PageNumber) throws -> [UInt8]
  /// A recording under the id it had; `next` gives it chunk by chunk from `first` on, nil at the end.
  func addRecording(_ recording: RecordingID, from first: Int, _ next: () throws -> CodedChunk?) throws
  /// What brings chunks of a recording from `account`, where they lie under `key`, into this one without decoding them; nil
  /// where only decoded ones are taken.
  func carrier(of recording: RecordingID, from account: AccountID, _ key: SecretBytes) throws -> ChunkCarrier?
  /// A frame that such a one carried.
  func addFrame(_ frame: consuming [UInt8]) throws
  /// Fails when the database, which is whole by now, does not hold; recordings may be added meanwhile.
  func checkDatabase() throws
  /// What an earlier run made durable; nil for a new restore.
  var resumed: RestoreProgress? { get }
  /// Makes durable what was written: so many pages, and recordings once `step` is theirs.
  func checkpoint(_ step: RestoreProgress.Step, pages: Int) throws
  /// Chunks of a recording, from the first, that an earlier run made durable.
  func durableChunks(of recording: RecordingID) -> Int
  /// One of them, as it was recorded.
  func readChunk(_ number: Int, of recording: RecordingID, isLast: Bool) throws -> [UInt8]
  /// Makes all of it durable and visible at once.
  func finish() throws
  /// Leaves what is durable for a later run.
  func suspend()
  func cancel()
}

package struct Restore: Sendable {
  let reader: SnapshotReader
  let cancel: CancelFlag
  let pace: RestorePace
  let doubt: ProofDoubt
  let tally: FrameTally

  package init(_ reader: SnapshotReader, _ control: RestoreControl = RestoreControl()) {
    self.reader = reader
    cancel = control.cancel
    pace = RestorePace(control)
    doubt = control.doubt
    tally = FrameTally(reader, doubts: control.doubt.isSet)
  }

  /// Recordings that came over without being decoded, since a proof vouched for them.
  package var carried: Int { tally.vouched }

  package var plan: RestorePlan { RestorePlan(reader) }

  /// Recordings that do not come back because their keys were destroyed.
  package var erased: [RecordingID] {
    reader.manifest.body.recordings.map(\.id).filter { !reader.recordings.hasKey($0) }
  }

  /// Blocks until the account is in its place, or nothing of it is left, or the process ends.
  package func run(into target: any RestoreTarget, progress: @escaping @Sendable (Double) -> Void = { _ in })
    throws(BackupError)
  {
    let plan = plan
    do {
      guard plan.missingChunks == 0 else {
        throw BackupError(.damaged, "\(plan.missingChunks) chunks of the snapshot are in no pack of the archive")
      }
      let meter = ProgressMeter(total: Double(plan.bytes), progress)
      try writePages(to: target, meter)
      try beginRecordings(of: target, pages: reader.manifest.header.databasePages)
      try writeRecordings(reader.manifest.body.recordings, to: target, meter)
      try target.finish()
    } catch {
      cancel.keepsWork ? target.suspend() : target.cancel()
      throw BackupError(anyOf: error)
    }
  }

  /// While one waits for the disk another one works; few enough to leave the processor to others.
  static let threads = 3

  /// `areFinal` is false when the log's records change them afterwards.
  func writePages(to target: any RestoreTarget, _ meter: ProgressMeter, areFinal: Bool = true) throws {
    let pages = reader.pages
    let all = reader.manifest.header.databasePages
    let front = PageFront(of: reader.manifest.body.groups.count)
    try BackupWork.forEach(reader.manifest.body.groups.count, threads: Self.threads) { group in
      try cancel.check()
      let end = min((group + 1) * Limits.snapshotGroupPages, all)
      let first = group * Limits.snapshotGroupPages
      guard try !isThere(group, upTo: end, target, areFinal) else {
        _ = front.passed(group)
        return meter.advance((end - first) * Limits.pageBytes)
      }
      let (bytes, mark) = try pages.opened(group: group)
      tally.add(group: group, mark)
      try target.writePages(from: PageNumber(first + 1), bytes)
      let durable = min(front.passed(group) * Limits.snapshotGroupPages, all)
      meter.advance(bytes.count)
      // A group that was mended lies before what is noted already.
      if pace.isDue(after: bytes.count), durable > Int(target.resumed?.pages ?? 0) {
        try target.checkpoint(.pages, pages: durable)
      }
    }
  }

  /// Whether an earlier run made the group durable. While the log's records have not changed any page, it is what the group's
  /// name stands for.
  private func isThere(_ group: Int, upTo end: Int, _ target: any RestoreTarget, _ areFinal: Bool) throws -> Bool {
    guard let resumed = target.resumed else { return false }
    if !areFinal, resumed.step != .pages { return true }
    guard end <= Int(resumed.pages) else { return false }
    var bytes: [UInt8] = []
    for number in (group * Limits.snapshotGroupPages + 1)...end {
      // One that does not open is written again.
      guard let page = try? target.readPage(PageNumber(number)) else { return false }
      bytes += page
    }
    return reader.keys.name(ofDatabase: bytes) == reader.manifest.body.groups[group]
  }

  /// From here on checkpoints are of recordings.
  func beginRecordings(of target: any RestoreTarget, pages: Int) throws {
    guard target.resumed?.step != .recordings else { return }
    try target.checkpoint(.recordings, pages: pages)
  }

  func writeRecordings(
    _ recordings: [ManifestBody.Recording], to target: any RestoreTarget, _ meter: ProgressMeter
  ) throws {
    let wanted = inPackOrder(recordings.filter { reader.recordings.hasKey($0.id) })
    // One thread checks the database before it helps the others.
    try BackupWork.forEach(wanted.count + 1, threads: Self.threads) { i in
      if i == 0 { try target.checkDatabase() } else { try bring(wanted[i - 1], to: target, meter) }
    }
    try settle(wanted, in: target)
  }

  /// As they lie in the packs, so that these are read from the front to the end and few are open.
  private func inPackOrder(_ recordings: [ManifestBody.Recording]) -> [ManifestBody.Recording] {
    let order = reader.index.packOrder()
    return recordings.map { recording -> (key: UInt64, recording: ManifestBody.Recording) in
      guard let place = reader.index.place(of: reader.keys.name(of: recording.id, chunk: 0)) else {
        return (.max, recording)
      }
      return (UInt64(order[place.pack]) << 32 | UInt64(place.offset), recording)
    }.sorted { $0.key < $1.key }.map(\.recording)
  }

  /// Each chunk is decoded and its name compared, but goes on as it was coded: under another seal, which binds the account.
  func write(
    _ recording: ManifestBody.Recording, to target: any RestoreTarget, _ meter: ProgressMeter
  ) throws {
    let there = min(target.durableChunks(of: recording.id), recording.chunks)
    var names: [[UInt8]] = []
    // Out of the new account: that they are what was recorded the root says at the end.
    for number in 0..<there {
      try cancel.check()
      let original = try target.readChunk(number, of: recording.id, isLast: number == recording.chunks - 1)
      names.append(reader.recordings.name(ofChunk: original))
      meter.advance(original.count)
    }
    var number = there
    if there == 0 || there < recording.chunks {
      try target.addRecording(recording.id, from: there) {
        guard number < recording.chunks else { return nil }
        try cancel.check()
        let chunk = try reader.opened(number, of: recording)
        names.append(reader.recordings.name(ofChunk: chunk.original))
        number += 1
        meter.advance(chunk.original.count)
        if pace.isDue(after: chunk.original.count) {
          try target.checkpoint(.recordings, pages: target.pageCount)
        }
        return chunk.coded
      }
    }
    guard RecordingRoot.hash(names) == recording.root else {
      throw BackupError(.damaged, "recording \(recording.id) is not what its row says")
    }
  }
}
