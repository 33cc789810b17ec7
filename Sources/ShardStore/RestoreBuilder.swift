// An account that is being rebuilt: beside the others until it is whole, then in place by one rename.

package import AtRest
package import Base
import Disk
import Formats
package import OpenSSL
import SQLite
import Threads

extension Engine {
  /// Begins an account with new keys whose log goes on after `base`. Nothing is visible before `finish`.
  /// `recordingName` is the key under which the rows of recordings name their chunks.
  package func beginRestore(
    as id: AccountID, base: Position, pageCount: Int, recordingName: SecretBytes
  ) throws(StoreError) -> RestoreBuilder {
    guard !hasAccount(id) else { throw StoreError(.exists, "there is an account \(id) already") }
    let directory = "\(configuration.accountsDirectory)/.restore-\(id)"
    if try storing({ try disk.info(directory) }) != nil { try disk.removeTree(directory) }
    try storing { try disk.makeDirectory(directory) }
    let keyring = try createKeyring(id, in: directory, recordingName: recordingName)
    let main = try layOut(id, in: directory, keyring: keyring, base: base, pages: UInt32(pageCount))
    let recordings = try RecordingStore(
      disk: disk, directory: "\(directory)/\(Shard.volumesName)", account: id, keyring: keyring,
      configuration: configuration)
    return RestoreBuilder(self, id, directory, keyring, main, recordings, pages: UInt32(pageCount))
  }
}

/// One restore. One thread at a time; recordings may come from several.
package final class RestoreBuilder: @unchecked Sendable {
  // Invariant: used by one caller at a time, but for `addRecording`, whose state locks itself, as does what is shared with
  // the engine.
  package let id: AccountID
  package let keyring: Keyring
  private let engine: Engine
  private let directory: String
  private let main: MainFile
  private let recordings: RecordingStore
  private let pages: UInt32
  private var batch: [(PageNumber, [UInt8])] = []
  private let volumes = Lock<Set<UInt32>>([])
  private var ended = false

  init(
    _ engine: Engine, _ id: AccountID, _ directory: String, _ keyring: Keyring, _ main: MainFile,
    _ recordings: RecordingStore, pages: UInt32
  ) {
    self.pages = pages
    self.engine = engine
    self.id = id
    self.directory = directory
    self.keyring = keyring
    self.main = main
    self.recordings = recordings
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

  /// A page that was written before, its reserved bytes zeroed.
  package func readPage(_ number: PageNumber) throws(StoreError) -> [UInt8] {
    if let image = batch.last(where: { $0.0 == number })?.1 { return image }
    switch main.read(number) {
    case .image(let image): return image
    case .beyondEnd: throw StoreError(.damaged, "page \(number) of the account that is being built was never written")
    case .damaged, .failed: throw StoreError(.io, "page \(number) of the account that is being built cannot be read")
    }
  }

  private func writeBatch() throws(StoreError) {
    let pages = batch
    batch = []
    try main.write(pages)
  }

  /// A recording under the id it had; `next` gives it chunk by chunk and nil at the end. May be called by several threads at
  /// the same time.
  package func addRecording(_ recording: RecordingID, _ next: () throws -> CodedChunk?) throws {
    let key = try recordings.begin(recording, now: 0)
    var number = 0
    var pending = try next() ?? CodedChunk(stored: [])
    while true {
      let following = try next()
      let sealed = try recordings.reseal(
        pending, number: number, isLast: following == nil, key: key, recording: recording)
      let volume = try recordings.volumes.append(sealed, try ChunkHeader(front: sealed[...]))
      volumes.with { _ = $0.insert(volume) }
      number += 1
      guard let following else { return }
      pending = following
    }
  }

  /// Makes everything durable, checks the database's integrity, and gives the account its place.
  package func finish() throws(StoreError) {
    try writeBatch()
    try main.truncate(pages: pages)
    try main.sync()
    try recordings.finish(volumes.with { $0 })
    try storing {
      try engine.disk.syncDirectory("\(directory)/\(Shard.volumesName)")
      try engine.disk.syncDirectory(directory)
    }
    try checkIntegrity()
    try engine.install(directory, as: id)
    ended = true
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

  /// Removes what was built. Nothing happens after `finish`.
  package func cancel() {
    guard !ended else { return }
    ended = true
    try? engine.disk.removeTree(directory)
  }
}
