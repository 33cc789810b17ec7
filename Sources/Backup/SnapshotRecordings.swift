// Single recordings out of a snapshot, or out of the account as it was at a moment, without restoring anything.
//
// What was asked for lately is kept open: manifest, lists of chunks, some pages of the database. So the next recording
// costs a look at its row and one chunk. Each chunk is opened and compared with the name that its row gives it before a
// byte of it is given out. The keyring's state is looked at each time: what was erased since is gone here too.

package import AtRest
package import Base
package import Disk
import Formats
import OpenSSL
import SQLite
import Threads

package struct SnapshotRecording: Sendable {
  package let key: String
  package let id: RecordingID
  package let bytes: Int
  package let md5: [UInt8]
  package let contentType: String
  /// Its key was destroyed: there is nothing to read any more.
  package let isErased: Bool
  fileprivate let names: [UInt8]
  fileprivate let reader: SnapshotReader

  package static var chunkBytes: Int { Limits.recordingChunkBytes }

  /// Bytes from `offset`, to the end of the chunk in which they lie or up to `count`; at least one. `.damaged` when the chunk
  /// is not what was recorded. Blocks.
  package func read(from offset: Int, count: Int) throws(BackupError) -> ArraySlice<UInt8> {
    precondition((0..<bytes).contains(offset) && count > 0)
    let number = offset / Self.chunkBytes
    let chunks = names.count / 32
    guard number < chunks else { throw BackupError(.damaged, "recording \(id) is longer than its chunks") }
    let chunk = try reader.index.read(reader.keys.name(of: id, chunk: number)) { frame in
      reader.recordings.open(frame.body, number: number, count: chunks, of: id)?.original
    }
    let start = offset - number * Self.chunkBytes
    let expected = min(Self.chunkBytes, bytes - number * Self.chunkBytes)
    guard chunk.count == expected,
      reader.recordings.name(ofChunk: chunk)[...] == names[(number * 32)..<(number * 32 + 32)]
    else { throw BackupError(.damaged, "chunk \(number) of recording \(id) is not what its row says") }
    return chunk[start..<min(chunk.count, start + count)]
  }
}

package final class SnapshotRecordings: Sendable {
  package enum Point: Sendable, Hashable {
    case snapshot(SnapshotID)
    case moment(UnixMicroseconds)
  }

  private struct Opened: Sendable {
    var account: AccountID
    var point: Point
    var keyring: [UInt8]
    var reader: SnapshotReader
    var host: ReadOnlyPages
  }

  private let disk: any Disk
  /// The oldest use first.
  private let held = Lock<[Opened]>([])
  static let heldMax = 4
  /// Chunks in the lists of all that is held, but for the newest: some 64 bytes each.
  static let chunksMax = 500_000

  package init(disk: any Disk) { self.disk = disk }

  /// `.notFound` without the snapshot, the moment or the recording. Blocks.
  package func open(_ key: String, at point: Point, _ layout: ArchiveLayout, unlockedBy unlock: KeyringUnlock)
    throws(BackupError) -> SnapshotRecording
  {
    let front = try keyringFront(layout)
    do throws(BackupError) { return try find(key, in: opened(point, layout, unlock, front)) } catch {
      guard error.code == .damaged || error.code == .io else { throw error }
      // A pack may have been replaced by another since it was opened.
      held.with { $0.removeAll { $0.account == layout.account && $0.point == point } }
      return try find(key, in: opened(point, layout, unlock, front))
    }
  }

  /// Closes what is held of an archive from which something is to be removed; it is opened again when it is asked for.
  package func letGo(of account: AccountID) { held.with { $0.removeAll { $0.account == account } } }

  private func opened(_ point: Point, _ layout: ArchiveLayout, _ unlock: KeyringUnlock, _ front: [UInt8])
    throws(BackupError) -> Opened
  {
    let found = held.with { held -> Opened? in
      guard let i = held.lastIndex(where: { $0.account == layout.account && $0.point == point }) else { return nil }
      let found = held.remove(at: i)
      guard found.keyring == front else { return nil }
      held.append(found)
      return found
    }
    if let found { return found }
    let new = try read(point, layout, unlock, front)
    held.with { held in
      held.removeAll { $0.account == layout.account && $0.point == point }
      held.append(new)
      while held.count > 1,
        held.count > Self.heldMax || held.reduce(0, { $0 + $1.reader.index.chunks }) > Self.chunksMax
      {
        held.removeFirst()
      }
    }
    return new
  }

  private func read(_ point: Point, _ layout: ArchiveLayout, _ unlock: KeyringUnlock, _ front: [UInt8])
    throws(BackupError) -> Opened
  {
    let opener = try ArchivedAccountKeys.read(disk: disk, layout: layout, unlockedBy: unlock)
    let (reader, host): (SnapshotReader, ReadOnlyPages)
    switch point {
    case .snapshot(let id):
      let path = try ManifestStore(disk: disk, layout: layout).path(of: id)
      reader = try SnapshotReader.open(path: path, disk: disk, layout: layout, opener)
      host = reader.pages.host
    case .moment(let moment):
      let at = try MomentReader.open(at: moment, disk: disk, layout: layout, opener)
      let pages = MomentOverlay(at.snapshot, CancelFlag())
      try at.replay(into: pages, ProgressMeter(total: 1) { _ in })
      reader = at.snapshot
      host = ReadOnlyPages(pageCount: at.plan.databasePages) { (number) throws(BackupError) in
        do { return try pages.readPage(number)[...] } catch { throw BackupError(anyOf: error) }
      }
    }
    return Opened(account: layout.account, point: point, keyring: front, reader: reader, host: host)
  }

  /// Changes with every change of the keyring's state: its head, its slots, its length.
  private func keyringFront(_ layout: ArchiveLayout) throws(BackupError) -> [UInt8] {
    try onDisk { () throws(DiskError) in
      let file = try disk.open(layout.keyring, .read)
      var w = ByteWriter(capacity: 8200)
      w.put(try file.size())
      w.put(raw: try file.read(8192, at: 0))
      return w.bytes
    }
  }

  private func find(_ key: String, in opened: Opened) throws(BackupError) -> SnapshotRecording {
    let rows = try opened.host.query {
      try $0.query(
        "SELECT id, bytes, md5, content_type, chunk_names FROM main.komora_recordings WHERE key = ?", .text(key))
    }
    guard let row = rows.first else {
      throw BackupError(.notFound, "there is no recording of that key in this state of the account")
    }
    guard case .blob(let id) = row[0], case .integer(let bytes) = row[1], case .blob(let md5) = row[2],
      case .text(let type) = row[3], case .blob(let names) = row[4], id.count == 16, names.count % 32 == 0, bytes >= 0
    else { throw BackupError(.damaged, "a row of komora_recordings is not what the system writes") }
    let recording = RecordingID(bytes: id)
    return SnapshotRecording(
      key: key, id: recording, bytes: Int(bytes), md5: md5, contentType: type,
      isErased: !opened.reader.recordings.hasKey(recording), names: names, reader: opened.reader)
  }
}
