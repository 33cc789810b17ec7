// One snapshot, opened for reading: manifest, index of chunks, keys. What proof, restore and offline restore share.

package import AtRest
import Base
package import Disk
package import Formats
import SQLite

package struct SnapshotReader: Sendable {
  package let manifest: Manifest
  package let index: ArchiveIndex
  package let keys: ArchiveKeys
  package let recordings: any RecordingOpener
  /// The frames that were decoded and compared by the decoders of this process; nil without a proof that says so.
  package var proven: ProvenFrames?
  /// While it is read nothing expires below it. Nil for whoever holds the archive otherwise.
  private var hold: (any DirectoryHold)?

  package init(manifest: Manifest, index: ArchiveIndex, keys: ArchiveKeys, recordings: any RecordingOpener) {
    self.manifest = manifest
    self.index = index
    self.keys = keys
    self.recordings = recordings
  }

  /// Opens the snapshot whose manifest lies at `path`, with the keyring's state that lies in the archive.
  package static func open(path: String, disk: any Disk, layout: ArchiveLayout, unlockedBy unlock: KeyringUnlock)
    throws(BackupError) -> SnapshotReader
  {
    try open(
      path: path, disk: disk, layout: layout,
      ArchivedAccountKeys.read(disk: disk, layout: layout, unlockedBy: unlock))
  }

  package static func open(path: String, disk: any Disk, layout: ArchiveLayout, _ opener: ArchivedAccountKeys)
    throws(BackupError) -> SnapshotReader
  {
    let hold = try onDisk { () throws(DiskError) in try disk.hold(layout.directory, .shared) }
    let store = ManifestStore(disk: disk, layout: layout)
    let manifest = try store.read(path, keys: opener.archive)
    let index = ArchiveIndex(disk: disk, layout: layout)
    try index.refresh()
    var reader = SnapshotReader(manifest: manifest, index: index, keys: opener.archive, recordings: opener)
    reader.hold = hold
    reader.proven = store.provenFrames(of: manifest, path: path, keys: opener.archive)?.frames
    return reader
  }

  package var pages: ArchivePages { ArchivePages(manifest: manifest, index: index, keys: keys) }

  /// Chunk `number` as it was recorded.
  package func chunk(_ number: Int, of recording: ManifestBody.Recording) throws(BackupError) -> [UInt8] {
    try opened(number, of: recording).original
  }

  /// The same, with the form in which it was coded.
  package func opened(_ number: Int, of recording: ManifestBody.Recording) throws(BackupError) -> OpenedChunk {
    try index.read(keys.name(of: recording.id, chunk: number)) { frame -> OpenedChunk? in
      recordings.open(frame.body, number: number, count: recording.chunks, of: recording.id)
    }
  }

  /// Everything of a recording, chunk by chunk, checked at the end against what the manifest says of it.
  package func read(_ recording: ManifestBody.Recording, _ body: ([UInt8]) throws -> Void) throws {
    var names: [[UInt8]] = []
    var total: UInt64 = 0
    for number in 0..<recording.chunks {
      let original = try chunk(number, of: recording)
      names.append(recordings.name(ofChunk: original))
      total += UInt64(original.count)
      try body(original)
    }
    guard total == recording.bytes, RecordingRoot.hash(names) == recording.root else {
      throw BackupError(.damaged, "recording \(recording.id) is not what its row says")
    }
  }

  /// Fails when SQLite finds anything wrong in the snapshot's database.
  package func checkIntegrity() throws(BackupError) {
    let rows = try pages.host.query { try $0.query("PRAGMA integrity_check(20)") }
    guard rows == [[.text("ok")]] else {
      let first = rows.first?.first.map { "\($0)" } ?? "no answer"
      throw BackupError(.damaged, "the snapshot's database fails its integrity check: \(first)")
    }
  }
}
