// The manifests of one archive: written last and in one step, read back, listed, proven by a file beside them.

import AtRest
package import Base
package import Disk
package import Formats
import OpenSSL

package struct ManifestStore: Sendable {
  private let disk: any Disk
  private let layout: ArchiveLayout

  package init(disk: any Disk, layout: ArchiveLayout) {
    self.disk = disk
    self.layout = layout
  }

  /// Writes a manifest durably, reads it back and opens what was read. Everything that it names must be durable before.
  package func write(_ header: ManifestHeader, _ body: ManifestBody, keys: ArchiveKeys) throws(BackupError)
    -> StoredManifest
  {
    let path = layout.manifest(header.snapshot, createdAt: header.createdAt)
    let file = Manifest.seal(header, body, keys: keys)
    guard file.header.bodyBytes <= Limits.manifestBytesMax else {
      throw BackupError(.refused, "the account has more chunks than a manifest may list", path: path)
    }
    try onDisk { () throws(DiskError) in try disk.replaceFile(path, file.encode()) }
    let manifest = try read(path, keys: keys)
    guard manifest.body == body, manifest.header == file.header else {
      throw BackupError(.damaged, "the manifest reads back differently", path: path)
    }
    return StoredManifest(manifest: manifest, path: path)
  }

  package func read(_ path: String, keys: ArchiveKeys) throws(BackupError) -> Manifest {
    try Manifest(opening: Self.file(disk, path), keys: keys, path: path)
  }

  static func file(_ disk: any Disk, _ path: String) throws(BackupError) -> ManifestFile {
    let limit = ManifestHeader.byteCount + Limits.manifestBytesMax + ManifestHeader.tailBytes
    let bytes = try onDisk { () throws(DiskError) in try disk.readAll(path, limit: limit) }
    return try decoding(path) { () throws(BytesError) in try ManifestFile(decoding: bytes) }
  }

  /// Finds the manifest of `snapshot`.
  package func path(of snapshot: SnapshotID) throws(BackupError) -> String {
    guard let name = try names().first(where: { ArchiveLayout.snapshotID(ofFile: $0) == snapshot }) else {
      throw BackupError(.notFound, "there is no snapshot \(snapshot) in the archive", path: layout.manifests)
    }
    return "\(layout.manifests)/\(name)"
  }

  /// All snapshots by position, from clear headers alone. A manifest that cannot be read is given as an error.
  package func list() throws(BackupError) -> SnapshotList {
    var snapshots: [SnapshotInfo] = []
    var damaged: [BackupError] = []
    for name in try names() {
      do throws(BackupError) { snapshots.append(try info("\(layout.manifests)/\(name)")) } catch {
        guard error.code == .damaged else { throw error }
        damaged.append(error)
      }
    }
    // By position: clocks jump.
    snapshots.sort { a, b in
      (a.position.epoch, a.position.index, a.createdAt, a.id) < (b.position.epoch, b.position.index, b.createdAt, b.id)
    }
    return SnapshotList(snapshots: snapshots, damaged: damaged)
  }

  /// The newest snapshot under `keys` that is not behind `position`, opened; nil when there is none that can be read.
  package func newest(upTo position: Position, keys: ArchiveKeys) throws(BackupError) -> Manifest? {
    let earlier = try list().snapshots.last { $0.publicKey == keys.publicKey && $0.position.index <= position.index }
    return earlier.flatMap { try? read($0.path, keys: keys) }
  }

  /// What the clear header at `path` says.
  package func info(_ path: String) throws(BackupError) -> SnapshotInfo {
    let (header, signature) = try clearParts(path)
    let state: SnapshotState = isProven(path, header, signature) ? .proven : .stored
    return SnapshotInfo(header: header, state: state, path: path)
  }

  /// Records that the snapshot at `path` was restored whole and compared.
  package func writeProof(
    _ manifest: Manifest, path: String, provenAt: UnixMicroseconds, _ result: SnapshotProver.Result, _ keys: ArchiveKeys
  ) throws(BackupError) {
    precondition(result.isWhole, "only what is whole is proven")
    let proof = SnapshotProof(
      account: manifest.header.account, snapshot: manifest.header.snapshot, provenAt: provenAt, chunks: result.chunks,
      bytes: result.bytes, manifestSignature: manifest.signature, frames: result.proven)
    let encoded = proof.encode(signature: keys.sign(proof.signedBytes))
    try onDisk { () throws(DiskError) in try disk.replaceFile(path + ArchiveLayout.proofSuffix, encoded) }
  }

  private func names() throws(BackupError) -> [String] {
    do throws(DiskError) {
      return try disk.list(layout.manifests).filter { ArchiveLayout.snapshotID(ofFile: $0) != nil }
    } catch {
      guard error.code == .notFound else { throw BackupError(error) }
      return []
    }
  }

  private func clearParts(_ path: String) throws(BackupError) -> (ManifestHeader, signature: [UInt8]) {
    let file = try onDisk { () throws(DiskError) in try disk.open(path, .read) }
    let bytes = try onDisk { () throws(DiskError) in try file.read(ManifestHeader.byteCount, at: 0) }
    let header = try decoding(path) { () throws(BytesError) in try ManifestHeader(decoding: bytes[...]) }
    guard header.account == layout.account else {
      throw BackupError(.damaged, "the manifest is of another account", path: path, offset: 8)
    }
    let at = header.fileBytes - 4 - ManifestHeader.signatureBytes
    let signature = try onDisk { () throws(DiskError) in try file.read(ManifestHeader.signatureBytes, at: UInt64(at)) }
    guard signature.count == ManifestHeader.signatureBytes else {
      throw BackupError(.damaged, "the manifest ends early", path: path, offset: at + signature.count)
    }
    return (header, signature)
  }

  private func isProven(_ path: String, _ header: ManifestHeader, _ signature: [UInt8]) -> Bool {
    proof(path, header.account, header.snapshot, signature, header.publicKey) != nil
  }

  /// What the proof beside the manifest at `path` says of the frames that were decoded for it; nil unless it is this
  /// manifest's, signed by this account, and by the decoders that this process has.
  package func provenFrames(of manifest: Manifest, path: String, keys: ArchiveKeys) -> (
    frames: ProvenFrames, provenAt: UnixMicroseconds
  )? {
    let (account, snapshot) = (manifest.header.account, manifest.header.snapshot)
    guard let proof = proof(path, account, snapshot, manifest.signature, keys.publicKey), let frames = proof.frames,
      frames.decoders == Decoders.current
    else { return nil }
    return (frames, proof.provenAt)
  }

  private func proof(
    _ path: String, _ account: AccountID, _ snapshot: SnapshotID, _ signature: [UInt8], _ publicKey: [UInt8]
  ) -> SnapshotProof? {
    guard
      let bytes = try? disk.readAll(path + ArchiveLayout.proofSuffix, limit: SnapshotProof.byteCountMax),
      let (proof, proofSignature) = try? SnapshotProof.decode(bytes),
      proof.account == account, proof.snapshot == snapshot, proof.manifestSignature == signature,
      Ed25519.verify(proofSignature, of: proof.signedBytes, public: publicKey)
    else { return nil }
    return proof
  }
}
