// Opening an account: its keys, its main file, and the records after the last mark.
//
// Redo is physical: the first record of a page after the mark starts from zeros, so a page that a crash tore in the main
// file is never needed. A transaction whose last part is missing counts only as places in the log.

import AtRest
import Base
import Disk
import Formats
import OpenSSL
import Threads

extension Shard {
  static let keyringName = "keyring"
  static let segmentsName = "segments"
  static let volumesName = "volumes"

  /// Opens what lies in `directory`. Everything of the account is in its segments by now.
  static func open(
    _ id: AccountID, directory: String, disk: any Disk, kek: any KeyEncryption, log: CommitLog, accountLog: AccountLog,
    environment: ShardEnvironment
  ) throws(StoreError) -> Shard {
    let configuration = environment.configuration
    let plain = configuration.plantedBugs.contains(.sealingOff)
    let keyring = try openKeyring(disk: disk, path: "\(directory)/\(keyringName)", account: id, kek: kek)
    let redo = try RedoFile.open(disk: disk, directory: directory, account: id)
    let slot = redo.slot
    guard accountLog.segments.end.index >= slot.segmentsEnd.index, accountLog.segments.end.index >= slot.mark.index
    else {
      throw StoreError(
        .damaged,
        "account \(id): its segments end at \(accountLog.segments.end), but reached \(max(slot.segmentsEnd.index, slot.mark.index))"
      )
    }
    let main = try MainFile.open(
      disk: disk, directory: directory, account: id, wrap: keyring.pageWrap, plain: plain)
    let quota = TemporaryQuota(disk: disk, configuration: configuration)
    let pages = PageStore(
      main: main, base: slot.mark, pages: slot.databasePages, temporary: quota, configuration: configuration)
    let recordings = try RecordingStore(
      disk: disk, directory: "\(directory)/\(volumesName)", account: id, keyring: keyring, configuration: configuration)
    let opener = RecordOpener(logWrap: keyring.logWrap, plain: plain)
    var epoch = max(slot.epoch, accountLog.greatestEpoch)
    if !configuration.isReplicated {
      epoch = max(epoch, try replay(accountLog.segments, from: slot, into: pages, opener: opener))
    }
    let shard = Shard(
      id: id, pages: pages, keyring: keyring, log: log, accountLog: accountLog, redo: redo, recordings: recordings,
      environment: environment, epoch: epoch, opener: opener, directory: directory)
    if configuration.isReplicated {
      shard.state.with { s in
        s.replica = ReplicaState(role: accountLog.role, at: slot.mark)
        s.replica!.mark = slot.mark
      }
      try shard.replayAsReplica(from: slot)
    }
    return shard
  }

  static func openKeyring(disk: any Disk, path: String, account: AccountID, kek: any KeyEncryption) throws(StoreError)
    -> Keyring
  {
    do { return try Keyring.open(disk: disk, path: path, account: account, kek: kek) } catch {
      throw StoreError(error, path)
    }
  }

  /// Gives the greatest epoch seen.
  static func replay(
    _ segments: SegmentStore, from slot: RedoSlot, into pages: PageStore, opener: RecordOpener
  ) throws(StoreError) -> Epoch {
    var epoch: Epoch = slot.mark.epoch
    /// Images of a transaction whose last record has not come yet.
    var group: [PageNumber: [UInt8]] = [:]
    var groupEpoch: Epoch = 0
    // From the mark on, since it carries its epoch's key.
    try segments.read(from: slot.mark.index) { record throws(StoreError) in
      let header = record.header
      epoch = max(epoch, header.epoch)
      let content = try opener.open(record)
      guard header.index > slot.mark.index else { return }
      if header.epoch != groupEpoch { group = [:] }
      switch content {
      case .mark, .epoch: pages.advance(to: record.position, mark: true, publish: true)
      case .recordings:
        groupEpoch = header.epoch
        pages.advance(to: record.position, mark: false, publish: true)
      case .pages(let payload):
        groupEpoch = header.epoch
        for change in payload.changes { group[change.number] = try image(of: change, in: pages, record) }
        if header.continues {
          pages.advance(to: record.position, mark: false, publish: true)
        } else {
          let images = group.map { ($0.key, $0.value) }
          pages.redo(images, at: record.position, pages: payload.databasePages)
          group = [:]
        }
      }
    }
    let end = segments.end
    if pages.head.index < end.index {
      throw StoreError(.damaged, "redo ends at \(pages.head), the segments at \(end)")
    }
    return epoch
  }

  /// The version that a change starts from. A standby that has flushed it finds it in the main file; whether it is the one
  /// that the primary had, the result's hash says.
  private static func base(of change: PageChange, in pages: PageStore) throws(StoreError) -> [UInt8]? {
    if let version = pages.state.with({ $0.chains[change.number]?.last }) {
      return version.index == change.base ? version.image : nil
    }
    guard change.base <= pages.state.with({ $0.flushed }), case .image(let image) = pages.main.read(change.number)
    else {
      return nil
    }
    return image
  }

  /// The page that a change makes; a wrong base or result is damage.
  static func image(of change: PageChange, in pages: PageStore, _ record: SealedRecord) throws(StoreError)
    -> [UInt8]
  {
    var base = PageChange.zeros
    if change.base > 0 {
      guard let found = try self.base(of: change, in: pages) else {
        throw StoreError(
          .damaged, "record \(record.position): page \(change.number) is a difference to a version that is not there")
      }
      base = found
    }
    let image = change.difference.applied(to: base)
    guard XXH64.hash(image) == change.hash else {
      throw StoreError(.damaged, "record \(record.position): page \(change.number) does not come out as it was written")
    }
    return image
  }
}

extension StoreError {
  init(_ error: AtRestError, _ path: String) {
    let code: Code =
      switch error.code {
      case .wrongKey: .wrongKey
      case .damaged: .damaged
      case .notFound: .notFound
      case .exists: .exists
      case .refused: .refused
      case .tooLarge: .tooLarge
      case .closed: .closed
      case .io: error.disk?.code == .full ? .diskFull : .io
      }
    self.init(code, "\(path): \(error)")
  }
}
