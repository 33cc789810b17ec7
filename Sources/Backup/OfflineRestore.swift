// Gives an account back as ordinary files, from its archive and its recovery file alone: no node, no engine, no
// cluster.
//
//   <out>/account.sqlite        the database, for any SQLite
//   <out>/recordings/…          recordings, byte for byte, under paths made from their keys
//   <out>/recordings.jsonl      which key lies where, one JSON object a line
//
// Everything is built in `<out>.komora-unfinished` and gets its name at the end; a run that was killed is run again.
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
  /// `expect` the caller shows how old the snapshot is and asks.
  package init(
    disk: any Disk, archive: String, recovery: RecoveryFile, at: UnixMicroseconds? = nil,
    expect: ExpectedPosition? = nil
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
    let moment = try MomentReader.open(at: at, disk: disk, layout: layout, opener, verifying: true)
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

  /// Writes the files; `out` must not exist. Blocks.
  /// With `only` the chosen rows and recordings alone; everything is declared as it was.
  package func run(
    out: String, only: RowSelection? = nil, progress: @escaping @Sendable (Double) -> Void = { _ in }
  ) throws(BackupError) -> RestoreReport {
    if let only { return try run(out: out, try SelectedDatabase(source(), only), progress: progress) }
    return try run(out: out, nil, progress: progress)
  }

  private func source() throws(BackupError) -> MergeSource {
    if let moment { return try MergeSource(moment) }
    return MergeSource(reader)
  }

  private func run(
    out: String, _ selected: SelectedDatabase?, progress: @escaping @Sendable (Double) -> Void
  ) throws(BackupError) -> RestoreReport {
    guard try onDisk({ () throws(DiskError) in try disk.info(out) }) == nil else {
      throw BackupError(.exists, "there is something at \(out) already; choose another directory", path: out)
    }
    var plan = plan
    // Of a moment only its own rows say which recordings it needs.
    guard selected != nil || moment != nil || plan.missingChunks == 0 else {
      throw BackupError(.damaged, "\(plan.missingChunks) chunks of the snapshot are in no pack of the archive")
    }
    var recordings = selected?.recordings ?? reader.manifest.body.recordings
    var host: ReadOnlyPages
    do {
      if moment == nil, selected == nil { try reader.checkIntegrity() }
      let building = out + Self.unfinishedSuffix
      if try disk.info(building) != nil { try FileTree.remove(disk, building) }
      try disk.makeDurableDirectory(building)
      let meter = ProgressMeter(total: Double(plan.bytes + (plan.moment?.logBytes ?? 0)), progress)
      let path = "\(building)/account.sqlite"
      let database = try selected.map { try write($0, path) } ?? writeDatabase(path, meter)
      host = selected?.pages.host ?? reader.pages.host
      if let selected {
        plan.take(selected)
      } else if let moment {
        try moment.replay(into: database, meter)
        try database.finish(pages: moment.plan.databasePages)
        try moment.checkIntegrity(of: database)
        recordings = try moment.recordings(in: database)
        _ = plan.take(recordings, reader.recordings)
        host = database.host(pages: moment.plan.databasePages)
      }
      try writeRecordings(recordings, of: host, building, meter)
      try disk.syncDirectory(building)
      try disk.rename(building, to: out)
      try disk.syncDirectory(parentDirectory(of: out) ?? ".")
    } catch { throw BackupError(anyOf: error) }
    let erased = selected?.erased ?? recordings.map(\.id).filter { !reader.recordings.hasKey($0) }
    return RestoreReport(plan: plan, account: plan.account, erased: erased)
  }

  private func writeDatabase(_ path: String, _ meter: ProgressMeter) throws -> PlainDatabase {
    let file = try disk.open(path, .create)
    let pages = reader.pages
    var offset: UInt64 = 0
    for group in reader.manifest.body.groups.indices {
      let bytes = try pages.open(group: group)
      try file.write(bytes, at: offset)
      offset += UInt64(bytes.count)
      meter.advance(bytes.count)
    }
    try file.sync()
    return PlainDatabase(file: file)
  }

  private func write(_ selected: SelectedDatabase, _ path: String) throws -> PlainDatabase {
    let database = PlainDatabase(file: try disk.open(path, .create))
    for number in 1...selected.pages.count {
      try database.writePage(PageNumber(number), selected.pages.page(PageNumber(number)))
    }
    try database.finish(pages: selected.pages.count)
    return database
  }

  private func writeRecordings(
    _ recordings: [ManifestBody.Recording], of host: ReadOnlyPages, _ building: String, _ meter: ProgressMeter
  ) throws {
    var paths = SafePath()
    try host.query { connection in try RecordingRows.forEach(in: connection) { paths.note($0.key) } }
    let listed = Dictionary(uniqueKeysWithValues: recordings.map { ($0.id, $0) })
    let list = try LineFile(disk, "\(building)/recordings.jsonl")
    var directories: Set<String> = []
    try disk.makeDirectory("\(building)/recordings")
    directories.insert("\(building)/recordings")
    var files = PlainRecordings(reader: reader, disk: disk, meter: meter)
    try host.query { connection in
      try RecordingRows.forEach(in: connection) { row in
        guard let recording = listed[row.id] else {
          throw BackupError(.damaged, "the snapshot lists no recording \(row.id)")
        }
        let path = "recordings/\(paths.path(of: row.key))"
        let erased = !reader.recordings.hasKey(row.id)
        try list.append(Self.line(row, path: erased ? nil : path))
        guard !erased else { return }
        var directory = parentDirectory(of: "\(building)/\(path)") ?? "."
        try disk.makeDirectory(directory)
        while directories.insert(directory).inserted { directory = parentDirectory(of: directory) ?? "." }
        try files.add(recording, row, "\(building)/\(path)")
      }
    }
    try files.finish()
    try list.finish()
    // From the deepest up, so that no name depends on one that is not durable.
    for directory in directories.sorted(by: >) { try disk.syncDirectory(directory) }
  }

  private static func line(_ row: RecordingRows.Named, path: String?) -> String {
    let place = path.map { "\"path\":\(JSONText.quoted($0))" } ?? "\"erased\":true"
    return "{\"key\":\(JSONText.quoted(row.key)),\(place),\"bytes\":\(row.bytes),\"md5\":\"\(row.md5.hex)\"}"
  }
}
