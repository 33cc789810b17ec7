// Steps that many tests take on the archive of a fake account.

import Backup
import Base
import Disk
import Formats
import Testing

struct FakeArchive {
  let disk: any Disk
  let account: FakeAccount
  let index: ArchiveIndex
  var packBytesMax = 256 << 10

  init(_ disk: any Disk, _ account: FakeAccount) {
    self.disk = disk
    self.account = account
    index = ArchiveIndex(disk: disk, layout: account.layout)
  }

  var store: ManifestStore { ManifestStore(disk: disk, layout: account.layout) }

  @discardableResult
  func snapshot(_ source: FakeAccount? = nil, id: UInt128, at time: UnixMicroseconds = 1_700_000_000_000_000)
    async throws -> StoredManifest
  {
    let writer = SnapshotWriter(
      disk: disk, layout: account.layout, keys: account.keys, index: index, packBytesMax: packBytesMax)
    return try await writer.write(
      source ?? account, SnapshotRequest(id: SnapshotID(bits: id), kind: .manual, createdAt: time))
  }

  /// The snapshot with fresh eyes: nothing from the writer's memory.
  func reader(_ manifest: Manifest) throws -> SnapshotReader {
    let fresh = ArchiveIndex(disk: disk, layout: account.layout)
    try fresh.refresh()
    return SnapshotReader(manifest: manifest, index: fresh, keys: account.keys, recordings: account.recordingKeys)
  }

  func prove(_ manifest: Manifest) throws -> SnapshotProver.Result { try SnapshotProver(reader(manifest)).run() }

  /// Every byte of the snapshot is what `expected` was.
  func expect(_ manifest: Manifest, is expected: FakeAccount) throws {
    #expect(manifest.header.position == expected.position)
    let result = try prove(manifest)
    #expect(result.isWhole, "\(result)")
    let pages = try reader(manifest).pages
    let restored = try manifest.body.groups.indices.flatMap { try pages.group($0) }
    #expect(restored == expected.expectedPages)
    #expect(manifest.body.recordings.map(\.id) == expected.recordings.keys.sorted())
  }

  func files(_ directory: String) throws -> [String] {
    try disk.list(directory).map { "\(directory)/\($0)" }
  }
}
