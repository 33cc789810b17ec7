// Gives an account back as ordinary files, from its archive and its recovery file alone: no node, no engine, no
// cluster.
//
//   <out>/account.sqlite        the database, for any SQLite
//   <out>/recordings/…          recordings, byte for byte, under paths made from their keys
//   <out>/recordings.jsonl      which key lies where, one JSON object a line
//
// Everything is built in `<out>.komora-unfinished` and gets its name at the end; a run that was killed goes on when it is
// run again.
// What it writes is readable by everybody who can read the directory: that is its purpose.

package import AtRest
package import Base
package import Disk
import Formats
import OpenSSL

package struct OfflineRestore: Sendable {
  package static let unfinishedSuffix = ".komora-unfinished"
  private let disk: any Disk
  private let reader: SnapshotReader
  /// Nil for the newest snapshot as it is.
  private let moment: MomentReader?
  /// The snapshot that will be restored, or with which the way to the moment begins.
  package let snapshot: SnapshotInfo
  package var plan: RestorePlan { moment?.restorePlan ?? RestorePlan(reader) }

  /// Opens the newest snapshot or, with `at`, the newest state that is not after that moment: a snapshot and the archived
  /// log behind it. `archive` is an account's directory or the one above it.
  /// `.refused` without the keyring's state, in a gap of the log, and when the state has not reached `expect`; without
  /// `expect` the caller shows how old the snapshot is and asks. `goingOnAt` is where `run` will write.
  package init(
    disk: any Disk, archive: String, recovery: RecoveryFile, at: UnixMicroseconds? = nil,
    expect: ExpectedPosition? = nil, goingOnAt out: String? = nil
  ) throws(BackupError) {
    let layout = try Self.layout(disk, archive, recovery.account)
    let store = ManifestStore(disk: disk, layout: layout)
    let list = try store.list()
    guard let newest = list.snapshots.last else {
      if let damaged = list.damaged.first { throw damaged }
      throw BackupError(.notFound, "the archive holds no snapshot", path: layout.manifests)
    }
    self.disk = disk
    guard let at else {
      try Self.check(expect, newest.position, newest.path)
      (snapshot, moment) = (newest, nil)
      reader = try SnapshotReader.open(
        path: newest.path, disk: disk, layout: layout, unlockedBy: .accountKey(recovery.accountKey))
      return
    }
    let opener = try ArchivedAccountKeys.read(
      disk: disk, layout: layout, unlockedBy: .accountKey(recovery.accountKey))
    var moment = try MomentReader.open(at: at, disk: disk, layout: layout, opener)
    // What an earlier run has begun was verified by it.
    if try out.map({ path throws(BackupError) in
      try OfflineWriter.progress(disk, path + Self.unfinishedSuffix, moment.snapshot, moment)
    }) == nil {
      moment = try MomentReader.open(at: at, disk: disk, layout: layout, opener, verifying: true)
    }
    try Self.check(expect, moment.plan.end, layout.directory)
    self.moment = moment
    reader = moment.snapshot
    snapshot = list.snapshots.last { $0.id == moment.plan.snapshot } ?? newest
  }

  private static func check(_ expect: ExpectedPosition?, _ position: Position, _ path: String) throws(BackupError) {
    guard let expect, !expect.isCovered(by: position) else { return }
    throw BackupError(
      .refused, "the newest state is of position \(position), before the expected \(expect.epoch).\(expect.index)",
      path: path)
  }

  private static func layout(_ disk: any Disk, _ archive: String, _ account: AccountID) throws(BackupError)
    -> ArchiveLayout
  {
    let own = ArchiveLayout(directory: archive, account: account)
    for layout in [ArchiveLayout(root: archive, account: account), own] {
      if try onDisk({ () throws(DiskError) in try disk.info(layout.manifests) }) != nil { return layout }
    }
    throw BackupError(.notFound, "there is no archive of account \(account) here", path: archive)
  }

  /// Writes the files; `out` must not exist, unless it is what a run left that was killed in its last step. One that was
  /// killed before goes on where it had come. With `only` the chosen rows and recordings alone; everything is declared as it
  /// was, and a run that was killed begins anew. Blocks.
  package func run(
    out: String, only: RowSelection? = nil, _ control: RestoreControl = RestoreControl(),
    progress: @escaping @Sendable (Double) -> Void = { _ in }
  ) throws(BackupError) -> RestoreReport {
    let selected = try only.map { chosen throws(BackupError) in try SelectedDatabase(source(), chosen) }
    // Of a moment only its own rows say which recordings it needs.
    guard selected != nil || moment != nil || plan.missingChunks == 0 else {
      throw BackupError(.damaged, "\(plan.missingChunks) chunks of the snapshot are in no pack of the archive")
    }
    do {
      let writer = OfflineWriter(
        disk: disk, reader: reader, moment: moment, selected: selected, out: out, control: control,
        meter: ProgressMeter(total: Double(plan.bytes + (plan.moment?.logBytes ?? 0)), progress))
      return try writer.run(plan)
    } catch { throw BackupError(anyOf: error) }
  }

  private func source() throws(BackupError) -> MergeSource {
    if let moment { return try MergeSource(moment) }
    return MergeSource(reader)
  }
}
