// Restores that go on after a kill: what of one is durable is noted beside it, and nothing else is believed.
//
// The note is made after the syncs that it promises: pages, then volumes up to their ends and the keys of what lies in
// them. What lies behind a noted end is cut away before anything follows it. A note that does not parse, belongs to
// another restore or promises more than there is means a start from the beginning.

import AtRest
package import Base
import Disk
package import Formats
package import OpenSSL
import Threads

package struct RestoreOrder: Sendable {
  /// Must not exist in the engine.
  package var account: AccountID
  package var base: Position
  /// Of the database at its end.
  package var pageCount: Int
  /// Names the chunks of recordings in the rows.
  package var recordingName: SecretBytes
  /// Hash of everything that decides what comes out; empty for a restore of which nothing is noted.
  package var binding: [UInt8] = []
  /// Kept with what is noted.
  package var note: [UInt8] = []

  package init(
    account: AccountID, base: Position, pageCount: Int, recordingName: SecretBytes, binding: [UInt8] = [],
    note: [UInt8] = []
  ) {
    self.account = account
    self.base = base
    self.pageCount = pageCount
    self.recordingName = recordingName
    self.binding = binding
    self.note = note
  }

  var beginning: RestoreProgress? {
    guard !binding.isEmpty else { return nil }
    return RestoreProgress(account: account, binding: binding, step: .pages, pages: 0, note: note)
  }
}

extension Engine {
  static let restorePrefix = ".restore-"

  func restoreDirectory(of id: AccountID) -> String {
    "\(configuration.accountsDirectory)/\(Self.restorePrefix)\(id)"
  }

  /// Whether a hidden directory is that of a restore that somebody may go on with.
  static func isResumable(_ name: String, _ configuration: EngineConfiguration, _ disk: any Disk) -> Bool {
    guard name.hasPrefix(restorePrefix), let id = AccountID(String(name.dropFirst(restorePrefix.count))) else {
      return false
    }
    return read("\(configuration.accountsDirectory)/\(name)", disk)?.account == id
  }

  private static func read(_ directory: String, _ disk: any Disk) -> RestoreProgress? {
    let path = "\(directory)/\(RestoreProgress.fileName)"
    guard let bytes = try? disk.readAll(path, limit: RestoreProgress.bytesMax) else { return nil }
    return try? RestoreProgress(bytes)
  }

  /// What is noted of a restore of `id` that has not ended: beside the accounts, or in its place with its last steps missing.
  package func unfinishedRestore(of id: AccountID) -> RestoreProgress? {
    let found = Self.read(hasAccount(id) ? directory(of: id) : restoreDirectory(of: id), disk)
    return found?.account == id ? found : nil
  }

  /// The accounts of restores that were not finished and lie beside the others.
  package func unfinishedRestores() -> [AccountID] {
    let names = (try? disk.list(configuration.accountsDirectory)) ?? []
    return names.compactMap { name in
      name.hasPrefix(Self.restorePrefix) ? AccountID(String(name.dropFirst(Self.restorePrefix.count))) : nil
    }
  }

  /// Removes what an unfinished restore left beside the accounts.
  package func abandonRestore(of id: AccountID) throws(StoreError) {
    let directory = restoreDirectory(of: id)
    if try storing({ try disk.info(directory) }) != nil { try disk.removeTree(directory) }
  }

  /// Everything behind the account's taking its place is done too: it is no restore any more.
  package func endRestore(of id: AccountID) throws(StoreError) {
    let path = "\(directory(of: id))/\(RestoreProgress.fileName)"
    try storing {
      guard try disk.info(path) != nil else { return }
      try disk.remove(path)
      try disk.syncDirectory(directory(of: id))
    }
  }

  /// What an earlier run left in `directory`, ready to go on; nil when it is of no use.
  func resumeRestore(_ order: RestoreOrder, in directory: String) throws(StoreError) -> RestoreBuilder? {
    guard let found = Self.read(directory, disk), found.account == order.account, found.binding == order.binding else {
      return nil
    }
    do {
      return try resume(order, found, directory)
    } catch {
      switch error.code {
      case .io, .diskFull: throw error
      default: return nil
      }
    }
  }

  private func resume(_ order: RestoreOrder, _ found: RestoreProgress, _ directory: String) throws(StoreError)
    -> RestoreBuilder?
  {
    let id = order.account
    let keyringPath = "\(directory)/\(Shard.keyringName)"
    let keyring: Keyring
    do { keyring = try Keyring.open(disk: disk, path: keyringPath, account: id, kek: kek.with { $0 }) } catch {
      throw StoreError(error, keyringPath)
    }
    guard constantTimeEqual(keyring.recordingName.copy, order.recordingName.copy) else { return nil }
    let slot = try RedoFile.open(disk: disk, directory: directory, account: id).slot
    guard slot.mark == order.base, slot.databasePages == UInt32(order.pageCount) else { return nil }
    let main = try MainFile.open(
      disk: disk, directory: directory, account: id, wrap: keyring.pageWrap,
      plain: configuration.plantedBugs.contains(.sealingOff), direct: true)
    // The last group that was promised opens; the rest is compared when it is passed.
    for number in stride(from: Int(found.pages), to: max(Int(found.pages) - Limits.snapshotGroupPages, 0), by: -1) {
      guard case .image = main.read(PageNumber(number)) else { return nil }
    }
    let volumes = "\(directory)/\(Shard.volumesName)"
    guard try cutVolumes(found.volumes, in: volumes) else { return nil }
    let recordings = try RecordingStore(
      disk: disk, directory: volumes, account: id, keyring: keyring, configuration: configuration, direct: true)
    let ends = try recordings.volumes.ends()
    guard found.volumes.allSatisfy({ ends[$0.number] == $0.end }), ends.count == found.volumes.count else { return nil }
    return RestoreBuilder(self, order, directory, keyring, main, recordings, resumed: found)
  }

  /// Leaves of the volumes what was noted; false when there is less. Durable when it returns, so that nothing that was cut
  /// away comes back behind a later crash.
  private func cutVolumes(_ noted: [RestoreProgress.Volume], in directory: String) throws(StoreError) -> Bool {
    try storing {
      let known = Set(noted.map { VolumeHeader.fileName($0.number) })
      var removed = false
      for name in try disk.list(directory) where !known.contains(name) {
        try disk.remove("\(directory)/\(name)")
        removed = true
      }
      if removed { try disk.syncDirectory(directory) }
      for volume in noted {
        let path = "\(directory)/\(VolumeHeader.fileName(volume.number))"
        guard let info = try disk.info(path), info.bytes >= volume.end else { return false }
        guard info.bytes > volume.end else { continue }
        let file = try disk.open(path, .readWrite)
        try file.truncate(to: volume.end)
        try file.sync()
      }
      return true
    }
  }
}

extension RestoreBuilder {
  /// So that even a restore that dies at once is found again.
  func noteBeginning() throws(StoreError) { if let first = noted.with({ $0 }) { try write(first) } }

  /// Makes durable what was written, and that it is: `pages` of the database, and recordings once `step` is theirs. Several
  /// threads may add recordings meanwhile.
  package func checkpoint(_ step: RestoreProgress.Step, pages: Int) throws(StoreError) {
    try noted.with { noted throws(StoreError) in
      guard var next = noted else { return }
      if next.step == .recordings {
        // Ends first: what comes behind them meanwhile is not promised. Keys last: each end's keys are there by then.
        next.volumes = try syncRecordings().sorted { $0.key < $1.key }.map { .init(number: $0.key, end: $0.value) }
      } else {
        try syncPages()
      }
      // Two threads may come with theirs in any order.
      next.pages = next.step == .pages && step == .pages ? max(next.pages, UInt32(pages)) : UInt32(pages)
      next.step = step
      try write(next)
      noted = next
    }
  }

  private func write(_ progress: RestoreProgress) throws(StoreError) {
    try storing { try engine.disk.replaceFile("\(directory)/\(RestoreProgress.fileName)", progress.encode()) }
  }

  /// Chunks of a recording, from the first, that an earlier run made durable.
  package func durableChunks(of recording: RecordingID) -> Int {
    resumed == nil ? 0 : recordings.volumes.chunksFromFirst(of: recording)
  }

  /// A chunk that was written before, as it was recorded. `.damaged` when it is not the last one and `isLast` says so.
  package func readChunk(_ number: Int, of recording: RecordingID, isLast: Bool) throws(StoreError) -> [UInt8] {
    // One of this run may wait in memory.
    try volumes.flush()
    guard let place = recordings.volumes.place(number, of: recording), place.isLast == isLast else {
      throw StoreError(.damaged, "chunk \(number) of a recording is not what an earlier run noted")
    }
    return try recordings.chunk(number, at: place, of: recording, key: try recordings.key(of: recording))
  }
}

extension VolumeSet {
  /// How long each volume is.
  func ends() throws(StoreError) -> [UInt32: UInt64] {
    try state.with { s throws(StoreError) in
      try scan(&s)
      return s.volumes.mapValues(\.end)
    }
  }

  func chunksFromFirst(of recording: RecordingID) -> Int {
    state.with { s in
      guard let places = s.places[recording] else { return 0 }
      var count = 0
      while places[UInt32(count)] != nil { count += 1 }
      return count
    }
  }

  func place(_ number: Int, of recording: RecordingID) -> Place? {
    state.with { $0.places[recording]?[UInt32(number)] }
  }
}
