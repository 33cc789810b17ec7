// An account that is being rebuilt: beside the others until it is whole, then in place by one rename. How it goes on
// after a kill lies in `ResumableRestore.swift`.

package import AtRest
package import Base
import Disk
package import Formats
package import OpenSSL
import SQLite
import Threads

extension Engine {
  /// Begins an account with new keys whose log goes on after `base`. Nothing is visible before `finish`.
  /// `recordingName` is the key under which the rows of recordings name their chunks.
  package func beginRestore(
    as id: AccountID, base: Position, pageCount: Int, recordingName: SecretBytes
  ) throws(StoreError) -> RestoreBuilder {
    try beginRestore(RestoreOrder(account: id, base: base, pageCount: pageCount, recordingName: recordingName))
  }

  /// The same; one with a binding notes what of it is durable, and goes on where an earlier one with that binding ended.
  package func beginRestore(_ order: RestoreOrder) throws(StoreError) -> RestoreBuilder {
    let id = order.account
    guard !hasAccount(id) else { throw StoreError(.exists, "there is an account \(id) already") }
    let directory = restoreDirectory(of: id)
    if try storing({ try disk.info(directory) }) != nil {
      if let builder = try resumeRestore(order, in: directory) { return builder }
      try disk.removeTree(directory)
    }
    try storing { try disk.makeDirectory(directory) }
    let keyring = try createKeyring(id, in: directory, recordingName: order.recordingName)
    let main = try layOut(
      id, in: directory, keyring: keyring, base: order.base, pages: UInt32(order.pageCount), direct: true)
    let recordings = try RecordingStore(
      disk: disk, directory: "\(directory)/\(Shard.volumesName)", account: id, keyring: keyring,
      configuration: configuration, direct: true)
    let builder = RestoreBuilder(self, order, directory, keyring, main, recordings, resumed: nil)
    if !order.binding.isEmpty {
      try builder.noteBeginning()
      try storing { try disk.syncDirectory(configuration.accountsDirectory) }
    }
    return builder
  }
}

/// One restore. One thread at a time; groups of pages may come from several, and then recordings, beside which the database
/// is checked.
package final class RestoreBuilder: @unchecked Sendable {
  // Invariant: used by one caller at a time, but for `writePages(from:)`, `addRecording` and `checkDatabase`, whose state
  // locks itself, as does what is shared with the engine.
  package let id: AccountID
  package let keyring: Keyring
  /// What an earlier run made durable; nil when this one began anew.
  package let resumed: RestoreProgress?
  let engine: Engine
  let directory: String
  let recordings: RecordingStore
  /// What is durable; nil when nothing is noted. Whoever changes it holds the lock while it does.
  let noted: Lock<RestoreProgress?>
  private let main: MainFile
  private let pages: UInt32
  package var pageCount: Int { Int(pages) }
  private var batch: [(PageNumber, [UInt8])] = []
  private let buffers = Lock<[DiskBuffer]>([])
  let volumes: RestoreVolumes
  private let isChecked = Lock(false)
  private var ended = false

  init(
    _ engine: Engine, _ order: RestoreOrder, _ directory: String, _ keyring: Keyring, _ main: MainFile,
    _ recordings: RecordingStore, resumed: RestoreProgress?
  ) {
    pages = UInt32(order.pageCount)
    self.engine = engine
    id = order.account
    self.directory = directory
    self.keyring = keyring
    self.main = main
    self.recordings = recordings
    volumes = RestoreVolumes(recordings.volumes)
    self.resumed = resumed
    noted = Lock(resumed ?? order.beginning)
  }

  deinit { cancel() }

  /// Page `number` from 1, 4096 bytes; of a page that is written again the last image counts. Pages behind the database's
  /// end may be written on the way to a state that does not have them.
  package func writePage(_ number: PageNumber, _ bytes: [UInt8]) throws(StoreError) {
    precondition(bytes.count == Limits.pageBytes)
    var image = bytes
    for i in PageLayout.body..<Limits.pageBytes { image[i] = 0 }
    batch.append((number, image))
    if batch.count >= 256 { try writeBatch() }
  }

  /// Whole pages, `first` in front, past the page cache. Several threads at the same time, for pages of which no two are the
  /// same and none was given to `writePage`.
  package func writePages(from first: PageNumber, _ bytes: [UInt8]) throws(StoreError) {
    precondition(bytes.count % Limits.pageBytes == 0, "whole pages only")
    let buffer = buffers.with { $0.popLast() } ?? DiskBuffer(capacity: bytes.count)
    try main.write(bytes, from: first, by: buffer)
    buffers.with { $0.append(buffer) }
  }

  /// A page that was written before, its reserved bytes zeroed.
  package func readPage(_ number: PageNumber) throws(StoreError) -> [UInt8] {
    if let image = batch.last(where: { $0.0 == number })?.1 { return image }
    switch main.read(number) {
    case .image(let image): return image
    case .beyondEnd: throw StoreError(.damaged, "page \(number) of the account that is being built was never written")
    case .damaged: throw StoreError(.damaged, "page \(number) of the account that is being built does not open")
    case .failed: throw StoreError(.io, "page \(number) of the account that is being built cannot be read")
    }
  }

  private func writeBatch() throws(StoreError) {
    // Not even emptied anew while other threads may read.
    guard !batch.isEmpty else { return }
    let pages = batch
    batch = []
    try main.write(pages)
  }

  func syncPages() throws(StoreError) {
    try writeBatch()
    try main.sync()
  }

  /// A recording under the id it had; `next` gives it chunk by chunk and nil at the end, from chunk `first` on: those before
  /// it are there. May be called by several threads at the same time.
  package func addRecording(_ recording: RecordingID, from first: Int = 0, _ next: () throws -> CodedChunk?) throws {
    let key = try key(of: recording)
    var number = first
    var pending = try next() ?? CodedChunk(stored: [])
    while true {
      let following = try next()
      let sealed = try recordings.reseal(
        pending, number: number, isLast: following == nil, key: key, recording: recording)
      try volumes.append(sealed, try ChunkHeader(front: sealed[...]))
      number += 1
      guard let following else { return }
      pending = following
    }
  }

  /// One that an earlier run had begun has its key.
  private func key(of recording: RecordingID) throws(StoreError) -> SecretBytes {
    keyring.hasRecordingKey(recording)
      ? try recordings.key(of: recording) : try recordings.begin(recording, now: 0)
  }

  /// What brings chunks of a recording from `account`, where they lie under `key`, into this one without decoding them; nil
  /// where nothing is sealed.
  package func carrier(
    of recording: RecordingID, from account: AccountID, _ key: SecretBytes
  ) throws(StoreError) -> ChunkCarrier? {
    guard !recordings.isPlain else { return nil }
    return ChunkCarrier(recording, from: account, key, to: id, try self.key(of: recording))
  }

  /// A frame that such a one carried; from several threads at the same time.
  package func addFrame(_ frame: consuming [UInt8]) throws(StoreError) {
    let header: ChunkHeader
    do { header = try ChunkHeader(front: frame[...]) } catch { throw StoreError(error, in: "a chunk that was carried") }
    try volumes.append(frame, header)
  }

  /// Makes everything durable, checks the database's integrity, and gives the account its place.
  package func finish() throws(StoreError) {
    try checkDatabase()
    try main.sync()
    try syncRecordings()
    try storing {
      try engine.disk.syncDirectory("\(directory)/\(Shard.volumesName)")
      try engine.disk.syncDirectory(directory)
    }
    try engine.install(directory, as: id)
    ended = true
  }

  /// Fails when SQLite finds anything wrong in the database as it was written, to its last page. Recordings may be added
  /// meanwhile. `finish` does it where nobody did.
  package func checkDatabase() throws(StoreError) {
    guard !isChecked.with({ $0 }) else { return }
    try writeBatch()
    try main.truncate(pages: pages)
    try checkIntegrity()
    isChecked.with { $0 = true }
  }

  /// What was added lies durably in its volumes, their keys behind it. Gives how long the volumes are up to there.
  @discardableResult
  func syncRecordings() throws(StoreError) -> [UInt32: UInt64] {
    let ends = try recordings.volumes.ends()
    try volumes.flush()
    try recordings.finish(Set(ends.keys))
    return ends
  }

  private func checkIntegrity() throws(StoreError) {
    let configuration = engine.configuration
    let slot = try RedoFile.open(disk: engine.disk, directory: directory, account: id).slot
    let quota = TemporaryQuota(disk: engine.disk, configuration: configuration)
    let store = PageStore(
      main: main, base: slot.mark, pages: slot.databasePages, temporary: quota, configuration: configuration)
    let vfs = PagesVFS(host: store)
    let result = try storing {
      let connection = try Connection(pages: vfs, readOnly: true)
      return try connection.query("PRAGMA integrity_check")
    }
    guard result == [[.text("ok")]] else {
      throw StoreError(.damaged, "the restored database fails its integrity check: \(result.first?.first?.text ?? "?")")
    }
  }

  /// Leaves what is durable for a later run.
  package func suspend() { ended = true }

  /// Removes what was built. Nothing happens after `finish`.
  package func cancel() {
    guard !ended else { return }
    ended = true
    try? engine.disk.removeTree(directory)
  }
}
