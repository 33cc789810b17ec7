// `komora diff`: what differs between two states of an account. Both are opened where they lie, neither is copied.
//
// Equal positions are equal states. Else the names of the groups of pages are compared: a database whose groups are all
// the same costs nothing more. Only then rows are read, through SQLite over the two sets of pages.

package import AtRest
import Base
package import Disk
import Formats
package import ShardStore

package struct SnapshotDiff: Sendable {
  private let disk: any Disk
  private let layout: ArchiveLayout
  private let unlock: KeyringUnlock

  package init(disk: any Disk, layout: ArchiveLayout, unlockedBy unlock: KeyringUnlock) {
    self.disk = disk
    self.layout = layout
    self.unlock = unlock
  }

  /// Runs on the threads of backups. `engine` holds the account when a side is live. Ends early when the task is
  /// cancelled.
  package func run(
    _ request: DiffRequest, in engine: Engine, cancel cancellation: CancelFlag = CancelFlag(),
    progress: @escaping @Sendable (Double) -> Void = { _ in }
  ) async throws -> DiffReport {
    let isLive = request.from == .live || request.to == .live
    let live: (view: PinnedView, keys: ArchiveKeys)?
    do { live = isLive ? try await pin(engine) : nil } catch { throw BackupError(anyOf: error) }
    return try await withTaskCancellationHandler {
      try await BackupWork.perform { try compare(request, live, cancellation, progress) }
    } onCancel: {
      cancellation.set()
    }
  }

  private func pin(_ engine: Engine) async throws -> (PinnedView, ArchiveKeys) {
    let account = layout.account
    let keys = try await BackupWork.perform {
      let keyring = try engine.keyring(account)
      return ArchiveKeys(account: account, archive: keyring.archive, signing: keyring.keys.signing)
    }
    return (try await engine.pin(account), keys)
  }

  private func compare(
    _ request: DiffRequest, _ live: (view: PinnedView, keys: ArchiveKeys)?, _ cancellation: CancelFlag,
    _ progress: @escaping @Sendable (Double) -> Void
  ) throws(BackupError) -> DiffReport {
    let snapshots = try snapshots(request)
    // Naming the live groups reads all pages once, comparing reads them once more.
    let naming = live == nil ? 0 : 0.4
    let state = { (side: DiffSide) throws(BackupError) -> DiffState in
      switch side {
      case .snapshot(let id):
        guard let reader = snapshots.first(where: { $0.manifest.header.snapshot == id }) else {
          throw BackupError(.notFound, "there is no snapshot \(id) in the archive")
        }
        return DiffState(reader)
      case .live:
        guard let live else { throw BackupError(.failed, "the account is not open") }
        return try DiffState(
          live: live.view, keys: live.keys, at: snapshots.first.map(DiffState.init), cancellation: cancellation
        ) { progress($0 * naming) }
      }
    }
    let old = try state(request.from)
    let pages = DiffPages(old: old, new: request.from == request.to ? old : try state(request.to)) {
      progress(naming + (1 - naming) * $0)
    }
    var report = DiffReport(from: pages.old.side, to: pages.new.side)
    guard !pages.areEqual else { return report }
    let hosts = pages.hosts
    try hosts.old.query { old in
      try hosts.new.query { new in
        var tables = DiffTables(old: old, new: new, listed: request.listed, cancellation: cancellation)
        try tables.fill(&report)
      }
    }
    return report
  }

  /// The snapshots that the request names, with one index of chunks for all.
  private func snapshots(_ request: DiffRequest) throws(BackupError) -> [SnapshotReader] {
    let store = ManifestStore(disk: disk, layout: layout)
    var readers: [SnapshotReader] = []
    for case .snapshot(let id) in [request.from, request.to] {
      let path = try store.path(of: id)
      if let first = readers.first {
        readers.append(
          SnapshotReader(
            manifest: try store.read(path, keys: first.keys), index: first.index, keys: first.keys,
            recordings: first.recordings))
      } else {
        readers.append(try SnapshotReader.open(path: path, disk: disk, layout: layout, unlockedBy: unlock))
      }
    }
    return readers
  }
}
