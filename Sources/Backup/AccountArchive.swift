// One account's archive and what is done with it: snapshots, lists, proofs, restores. The index of chunks is kept
// between calls, so keep the object for as long as the account is in use.

package import AtRest
package import Base
package import Disk
package import Formats
import OpenSSL
import SQLite
package import ShardStore
import Threads

package final class AccountArchive: Sendable {
  package let layout: ArchiveLayout
  let disk: any Disk
  let index: ArchiveIndex
  let gate: ArchiveGate
  private let clock: @Sendable () -> UnixMicroseconds
  let packBytesMax: Int
  let logRunBytes: Int

  /// `clock` gives microseconds since 1970; it only dates snapshots.
  package init(
    disk: any Disk, layout: ArchiveLayout,
    clock: @escaping @Sendable () -> UnixMicroseconds = {
      SystemClock().unixMicroseconds()
    },
    packBytesMax: Int = Limits.packBytesDefault, logRunBytes: Int = Limits.archivedLogBytesDefault,
    gate: ArchiveGate = ArchiveGate()
  ) {
    self.logRunBytes = logRunBytes
    self.disk = disk
    self.gate = gate
    self.clock = clock
    self.layout = layout
    self.packBytesMax = packBytesMax
    index = ArchiveIndex(disk: disk, layout: layout)
  }

  var store: ManifestStore { ManifestStore(disk: disk, layout: layout) }

  // MARK: snapshots

  /// Takes a snapshot of the account as it is now and proves it. A damaged old chunk that the proof finds is written
  /// again by a second snapshot. `progress` reaches 0.5 when the snapshot is stored.
  package func createSnapshot(
    of engine: Engine, kind: SnapshotKind, cancel: CancelFlag = CancelFlag(),
    progress: @escaping @Sendable (Double) -> Void = { _ in }
  ) async throws -> SnapshotInfo {
    let isFree = gate.isTakingSnapshot.with { taking in
      defer { taking = true }
      return !taking
    }
    guard isFree else { throw BackupError(.refused, "a snapshot of this account is being taken; wait for it") }
    defer { gate.isTakingSnapshot.with { $0 = false } }
    return try await gate.chunks.run { try await takeSnapshot(of: engine, kind, cancel, progress) }
  }

  private func takeSnapshot(
    of engine: Engine, _ kind: SnapshotKind, _ cancel: CancelFlag, _ progress: @escaping @Sendable (Double) -> Void
  ) async throws -> SnapshotInfo {
    var distrusted: Set<ChunkName> = []
    let keyring = try await BackupWork.perform { [layout] in try engine.keyring(layout.account) }
    for attempt in 0..<2 {
      let order = SnapshotOrder(kind: kind, now: clock(), distrusted: distrusted, cancel: cancel) { progress($0 / 2) }
      let stored = try await store(engine, keyring, order)
      let result = try await prove(
        ProofOrder(path: stored.path, accountKey: keyring.accountKey, now: clock(), cancel: cancel) {
          progress(0.5 + $0 / 2)
        })
      if result.isWhole { return try await info(stored.path) }
      distrusted.formUnion(result.damaged.keys)
      guard attempt == 0, result.problems.isEmpty else {
        let reason = result.problems.first ?? result.damaged.first.map { "\($0.value)" } ?? "no reason"
        throw BackupError(.damaged, "the snapshot is stored but not proven: \(reason)", path: stored.path)
      }
    }
    preconditionFailure("the second attempt returns or throws")
  }

  // Orders are structures, since the compiler (6.3.1) loses its way in async functions with many arguments and ids.
  private struct ProofOrder: Sendable {
    var path: String
    var accountKey: SecretBytes
    var now: UnixMicroseconds
    var cancel: CancelFlag
    var progress: @Sendable (Double) -> Void
  }

  private struct SnapshotOrder: Sendable {
    var kind: SnapshotKind
    var now: UnixMicroseconds
    var distrusted: Set<ChunkName>
    var cancel: CancelFlag
    var progress: @Sendable (Double) -> Void
  }

  private func store(
    _ engine: Engine, _ keyring: Keyring, _ order: SnapshotOrder
  ) async throws -> StoredManifest {
    do {
      let source = try await PinnedSource.pin(engine, layout.account)
      let keys = ArchiveKeys(account: layout.account, archive: keyring.archive, signing: keyring.keys.signing)
      var random = SystemRandom()
      let request = SnapshotRequest(
        id: SnapshotID(from: &random), kind: order.kind, createdAt: order.now, cancel: order.cancel,
        progress: order.progress)
      let writer = SnapshotWriter(
        disk: disk, layout: layout, keys: keys, index: index, packBytesMax: packBytesMax,
        distrusted: order.distrusted, gate: gate)
      let store = store
      let base = try await BackupWork.perform { try store.newest(upTo: source.position, keys: keys) }
      return try await writer.write(source, request, after: base)
    } catch { throw BackupError(anyOf: error) }
  }

  /// Restores the snapshot in passing and compares; writes the proof when all is well. It opens everything with the
  /// keyring as it lies in the archive and finds chunks by the packs' own lists, as a restore would.
  private func prove(_ order: ProofOrder) async throws -> SnapshotProver.Result {
    let (store, disk, layout) = (store, disk, layout)
    return try await BackupWork.perform {
      let reader = try SnapshotReader.open(
        path: order.path, disk: disk, layout: layout, unlockedBy: .accountKey(order.accountKey))
      let result = try SnapshotProver(reader, cancel: order.cancel).run(progress: order.progress)
      if result.isWhole {
        try store.writeProof(reader.manifest, path: order.path, provenAt: order.now, result, reader.keys)
      }
      return result
    }
  }

  /// Puts the keyring's state as it is now beside the archive. To be called when keys of recordings were destroyed, so
  /// that they are gone from the archive too, and when the key-encryption key has changed.
  package func refreshKeyring(from engine: Engine) async throws {
    let (disk, layout, gate) = (disk, layout, gate)
    try await BackupWork.perform {
      do {
        let keyring = try engine.keyring(layout.account)
        let keys = ArchiveKeys(account: layout.account, archive: keyring.archive, signing: keyring.keys.signing)
        try SnapshotWriter.checkOwner(disk, layout, keys)
        try disk.makeDurableDirectory(layout.directory)
        try gate.keyring.with { _ in try disk.replaceFile(layout.keyring, keyring.exportState()) }
      } catch { throw BackupError(anyOf: error) }
    }
  }

  // MARK: lists

  /// Snapshots by position, the oldest first, and manifests that cannot be read. Needs no key.
  package func list() async throws -> SnapshotList {
    let store = store
    return try await BackupWork.perform { try store.list() }
  }

  private func info(_ path: String) async throws -> SnapshotInfo {
    let store = store
    return try await BackupWork.perform { try store.info(path) }
  }

  // MARK: restore

  /// What restoring `snapshot` would do.
  package func plan(_ snapshot: SnapshotID, unlockedBy unlock: KeyringUnlock) async throws -> RestorePlan {
    let (store, disk, layout) = (store, disk, layout)
    return try await BackupWork.perform {
      Restore(
        try SnapshotReader.open(
          path: try store.path(of: snapshot), disk: disk, layout: layout, unlockedBy: unlock)
      ).plan
    }
  }

  /// Builds `account`, which must not exist and is not the archive's own id, from `snapshot`. When it returns the account is
  /// there; when it throws nothing of it is; after a kill the same request goes on where the killed one had come, also in
  /// what is done when the account has its place. Recordings erased since the snapshot stay erased, their rows too. `placed` runs
  /// when the account lies in its place and before it is written to: where accounts have owners, it gets them there.
  package func restore(
    _ request: RestoreRequest, into engine: Engine, placed: @Sendable () async throws -> Void = {}
  ) async throws -> RestoreReport {
    guard request.account != layout.account else {
      // It would have new keys, and its snapshots would need this archive, which only the old keys open.
      throw BackupError(.refused, "a restored account has an id of its own; \(request.account) is the archive's")
    }
    let (disk, layout) = (disk, layout)
    let (report, keys) = try await BackupWork.perform {
      let opener = try ArchivedAccountKeys.read(disk: disk, layout: layout, unlockedBy: request.unlock)
      return (try ResumableRestore(disk: disk, layout: layout, engine: engine, opener: opener).build(request), opener)
    }
    return try await finish(report, in: engine, keys, isMoment: false, placed)
  }

  /// An erased recording does not come back as a row either. Until this is durable nobody knows the account's name.
  func removeErased(_ report: RestoreReport, in engine: Engine) async throws {
    let now = clock()
    do {
      _ = try await engine.write(report.account) { connection in
        for id in report.erased {
          let keys = try connection.query("SELECT key FROM main.komora_recordings WHERE id = ?", .blob(id.bytes))
          for case .text(let key) in keys.map({ $0[0] }) {
            _ = try RecordingCatalog.delete(connection, key: key, at: now)
          }
        }
      }
    } catch { throw BackupError(anyOf: error) }
  }
}

extension RestoreBuilder: RestoreTarget {}
