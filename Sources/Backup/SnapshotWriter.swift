// Takes one snapshot: reads the pinned position, writes what the archive lacks into packs, then the keyring's state,
// then the manifest.
//
// Order is everything: packs are synced and named, then their directory, then the keyring, and only then the manifest
// that refers to them. A writer that dies anywhere leaves whole packs, which the next snapshot shares, and at most an
// unfinished file, which the next snapshot removes. It never changes or deletes what a manifest refers to.

import Base
package import Disk
package import Formats
import OpenSSL
import Threads

package final class SnapshotWriter {
  private let disk: any Disk
  private let layout: ArchiveLayout
  let keys: ArchiveKeys
  let index: ArchiveIndex
  let coder: DatabaseChunkCoder
  private let packBytesMax: Int
  /// Chunks whose copies in the archive are known to be bad: written again.
  let distrusted: Set<ChunkName>
  let output: PackOutput
  private let gate: ArchiveGate

  package init(
    disk: any Disk, layout: ArchiveLayout, keys: ArchiveKeys, index: ArchiveIndex,
    packBytesMax: Int = Limits.packBytesDefault, distrusted: Set<ChunkName> = [], gate: ArchiveGate = ArchiveGate()
  ) {
    self.gate = gate
    self.disk = disk
    self.layout = layout
    self.keys = keys
    self.index = index
    self.packBytesMax = packBytesMax
    self.distrusted = distrusted
    coder = DatabaseChunkCoder(keys: keys)
    output = PackOutput(disk: disk, layout: layout, index: index, packBytesMax: packBytesMax, gate: gate)
  }

  /// Writes the snapshot and gives its manifest, which was read back. What has not changed since `base`, an earlier snapshot
  /// in this archive, is not read again where the source can say so.
  package func write(
    _ source: any SnapshotSource, _ request: SnapshotRequest, after base: Manifest? = nil
  ) async throws -> StoredManifest {
    precondition(source.account == keys.account && layout.account == keys.account, "keys of another account")
    do {
      let (disk, layout, index, keys) = (disk, layout, index, keys)
      try await BackupWork.perform {
        try Self.checkOwner(disk, layout, keys)
        try Self.prepare(disk, layout, index)
      }
      let kept = try await kept(from: base, source)
      if let base, kept.isEverything, distrusted.isEmpty { return try await seal(base.body, of: source, request) }
      let recordings = try await source.recordings().sorted { $0.id < $1.id }
      let meter = ProgressMeter(
        total: recordings.reduce(Double(source.databasePages * Limits.pageBytes)) { $0 + Double($1.bytes) },
        request.progress)
      let groups = try await writeDatabase(source, kept, meter, request.cancel)
      try await writeRecordings(recordings, source, meter, request.cancel)
      let body = ManifestBody(
        databaseRoot: ArchiveKeys.databaseRoot(pages: source.databasePages, groups: groups), groups: groups,
        recordings: recordings.map { .init(id: $0.id, bytes: $0.bytes, chunks: $0.chunks, root: $0.root) })
      return try await seal(body, of: source, request)
    } catch {
      let output = output
      try? await BackupWork.perform { output.abandon() }
      throw error
    }
  }

  /// The keyring's state that lies in the archive is what opens earlier snapshots: one of other keys may not replace it.
  static func checkOwner(_ disk: any Disk, _ layout: ArchiveLayout, _ keys: ArchiveKeys) throws {
    let snapshots = try ManifestStore(disk: disk, layout: layout).list().snapshots
    guard let foreign = snapshots.first(where: { $0.publicKey != keys.publicKey }) else { return }
    throw BackupError(
      .refused, "the archive holds snapshots under other keys; give this account an archive of its own",
      path: foreign.path)
  }

  private static func prepare(_ disk: any Disk, _ layout: ArchiveLayout, _ index: ArchiveIndex) throws {
    // Each level by itself: an earlier attempt may have failed between making one and syncing its name.
    for directory in layout.directories {
      try onDisk { () throws(DiskError) in try disk.makeDurableDirectory(directory) }
    }
    for directory in [layout.packs, layout.manifests] {
      for name in try onDisk({ () throws(DiskError) in try disk.list(directory) })
      where name.hasSuffix(ArchiveLayout.unfinishedSuffix) {
        do throws(DiskError) { try disk.remove("\(directory)/\(name)") } catch {
          // A snapshot that failed a moment ago may be removing it as well.
          guard error.code == .notFound else { throw BackupError(error) }
        }
      }
    }
    try index.refresh()
  }

  // MARK: end

  private func seal(
    _ body: ManifestBody, of source: any SnapshotSource, _ request: SnapshotRequest
  ) async throws -> StoredManifest {
    let (disk, layout, keys, output, gate) = (disk, layout, keys, output, gate)
    let header = ManifestHeader(
      account: source.account, snapshot: request.id, kind: request.kind, createdAt: request.createdAt,
      position: source.position,
      databasePages: source.databasePages, recordings: body.recordings.count,
      recordingBytes: body.recordings.reduce(0) { $0 + $1.bytes }, addedBytes: 0, publicKey: keys.publicKey,
      nonce: [], bodyBytes: 0)
    return try await BackupWork.perform {
      var header = header
      header.addedBytes = try output.finish()
      try gate.keyring.with { _ in
        let keyring = try source.keyringState()
        try onDisk { () throws(DiskError) in try disk.replaceFile(layout.keyring, keyring) }
      }
      return try ManifestStore(disk: disk, layout: layout).write(header, body, keys: keys)
    }
  }
}
