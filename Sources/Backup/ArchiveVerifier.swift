// Checks an archive as a whole: every chunk that a manifest names is there and opens. Needs the account's keys; without
// them it only says so.

import AtRest
import Base
import Disk
import Formats
import ShardStore

struct ArchiveVerifier {
  let disk: any Disk
  let layout: ArchiveLayout

  /// The archives whose manifests are among `files`.
  static func archives(among files: [String]) -> [ArchiveLayout] {
    var found: [ArchiveLayout] = []
    for file in files where file.hasSuffix(ArchiveLayout.manifestSuffix) {
      guard let manifests = parentDirectory(of: file), manifests.hasSuffix("/manifests"),
        let directory = parentDirectory(of: manifests), let parent = parentDirectory(of: directory),
        let account = AccountID(String(directory.dropFirst(parent == "/" ? 1 : parent.count + 1)))
      else { continue }
      let layout = ArchiveLayout(directory: directory, account: account)
      if !found.contains(layout) { found.append(layout) }
    }
    return found
  }

  func verify(_ keys: VerifyKeys, _ report: inout VerifyReport) throws(BackupError) {
    guard try onDisk({ () throws(DiskError) in try disk.info(layout.keyring) }) != nil else {
      return report.damage(layout.keyring, at: 0, "the keyring's state is missing; nothing can be restored without it")
    }
    guard let unlock = keys.unlock(layout.account) else {
      return report.notes.append(
        "\(layout.directory): chunks were not opened, for that the account's key or its recovery file is needed")
    }
    let opener: ArchivedAccountKeys
    do throws(BackupError) {
      opener = try ArchivedAccountKeys.read(disk: disk, layout: layout, unlockedBy: unlock)
    } catch { return report.note(error, in: layout.keyring) }
    let index = ArchiveIndex(disk: disk, layout: layout)
    try index.refresh()
    let store = ManifestStore(disk: disk, layout: layout)
    for snapshot in try store.list().snapshots {
      do throws(BackupError) {
        let manifest = try store.read(snapshot.path, keys: opener.archive)
        let reader = SnapshotReader(manifest: manifest, index: index, keys: opener.archive, recordings: opener)
        let result = try SnapshotProver(reader).run()
        report.units += Int(result.chunks)
        for error in result.damaged.values where !report.names(error) { report.note(error, in: snapshot.path) }
        for problem in result.problems { report.damage(snapshot.path, at: 0, problem) }
      } catch { if !report.names(error) { report.note(error, in: snapshot.path) } }
    }
  }
}

extension VerifyReport {
  /// Whether the same place was named already.
  fileprivate func names(_ error: BackupError) -> Bool {
    guard let path = error.path else { return false }
    return findings.contains { $0.path == path && $0.offset == UInt64(error.offset ?? 0) }
  }
}
