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
  /// Every chunk, also those that a proof covers.
  var decodes = false

  /// The archives whose manifests are among `files`.
  static func archives(among files: [String]) -> [ArchiveLayout] {
    var found: [ArchiveLayout] = []
    let suffixes = [
      (ArchiveLayout.manifestSuffix, "/manifests"), (LogRunHeader.fileSuffix, "/log"),
      (ArchiveLayout.proofSuffix, "/manifests"),
    ]
    for file in files {
      guard let place = suffixes.first(where: { file.hasSuffix($0.0) })?.1, let manifests = parentDirectory(of: file),
        manifests.hasSuffix(place), let directory = parentDirectory(of: manifests),
        let parent = parentDirectory(of: directory),
        let account = AccountID(String(directory.dropFirst(parent == "/" ? 1 : parent.count + 1)))
      else { continue }
      let layout = ArchiveLayout(directory: directory, account: account)
      if !found.contains(layout) { found.append(layout) }
    }
    return found
  }

  /// Checks snapshots and recordings, then says which moments are left.
  func verify(_ keys: VerifyKeys, _ report: inout VerifyReport) throws(BackupError) {
    // Else what expires meanwhile would be missing.
    let hold = try onDisk { () throws(DiskError) in try disk.hold(layout.directory, .shared) }
    defer { withExtendedLifetime(hold) {} }
    var broken = MomentVerifier.Broken()
    try verifyChunks(keys, &broken, &report)
    try MomentVerifier(disk: disk, layout: layout).verify(
      broken, hasKeys: keys.unlock(layout.account) != nil, &report)
  }

  /// `broken` gets the manifests that a finding in the packs spoils, by its path.
  private func verifyChunks(
    _ keys: VerifyKeys, _ broken: inout MomentVerifier.Broken, _ report: inout VerifyReport
  ) throws(BackupError) {
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
    let manifests = try store.list().snapshots.compactMap {
      snapshot -> (manifest: Manifest, createdAt: UnixMicroseconds)? in
      (try? store.read(snapshot.path, keys: opener.archive)).map { ($0, snapshot.createdAt) }
    }
    do {
      var order = VerifyOrder()
      order.which = .all
      order.decodes = decodes
      try VerifyArchive(disk: disk, layout: layout, order).sweep(opener, 0, &broken, &report) { _ in }
    } catch {
      let error = BackupError(anyOf: error)
      guard error.code == .notFound else { throw error }
    }
    let check = LogRecordingsCheck(disk: disk, layout: layout, opener: opener, index: index)
    let (losses, chunks) = try check.run(try ArchivedLog(disk: disk, layout: layout).list().runs)
    report.units += chunks.count
    for loss in losses {
      // Gone by the first snapshot that does not have it any more; else it may have been there to the end.
      let gone = manifests.first { manifest, createdAt in
        createdAt > loss.time && !manifest.body.recordings.contains { $0.id == loss.recording }
      }
      let path = loss.error.path ?? layout.packs
      broken.spans[path, default: []].append(MomentSpan(from: loss.time, through: (gone?.createdAt ?? .max / 4) - 1))
      if !report.names(loss.error) { report.note(loss.error, in: path) }
    }
  }
}
