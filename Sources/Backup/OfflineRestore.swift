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
  /// The snapshot that will be restored.
  package let snapshot: SnapshotInfo
  package var plan: RestorePlan { RestorePlan(reader) }

  /// Opens the snapshot of the greatest position among those made at or before `at`. `archive` is an account's directory or the one above it.
  /// `.refused` without the keyring's state, and when the snapshot has not reached `expect`; without `expect` the
  /// caller shows how old the snapshot is and asks.
  package init(
    disk: any Disk, archive: String, recovery: RecoveryFile, at: UnixMicroseconds? = nil,
    expect: ExpectedPosition? = nil
  ) throws(BackupError) {
    let layout = try Self.layout(disk, archive, recovery.account)
    let store = ManifestStore(disk: disk, layout: layout)
    let list = try store.list()
    guard let newest = list.snapshots.last(where: { at == nil || $0.createdAt <= at! }) else {
      if let damaged = list.damaged.first { throw damaged }
      throw BackupError(.notFound, "the archive holds no snapshot from that time or before", path: layout.manifests)
    }
    if let expect, !expect.isCovered(by: newest.position) {
      throw BackupError(
        .refused,
        "the newest snapshot is of position \(newest.position), before the expected \(expect.epoch).\(expect.index)",
        path: newest.path)
    }
    self.disk = disk
    snapshot = newest
    reader = try SnapshotReader.open(
      path: newest.path, disk: disk, layout: layout, unlockedBy: .accountKey(recovery.accountKey))
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
  package func run(out: String, progress: @escaping @Sendable (Double) -> Void = { _ in }) throws(BackupError)
    -> RestoreReport
  {
    guard try onDisk({ () throws(DiskError) in try disk.info(out) }) == nil else {
      throw BackupError(.exists, "there is something at \(out) already; choose another directory", path: out)
    }
    let plan = plan
    guard plan.missingChunks == 0 else {
      throw BackupError(.damaged, "\(plan.missingChunks) chunks of the snapshot are in no pack of the archive")
    }
    do {
      try reader.checkIntegrity()
      let building = out + Self.unfinishedSuffix
      if try disk.info(building) != nil { try FileTree.remove(disk, building) }
      try disk.makeDurableDirectory(building)
      let meter = ProgressMeter(total: Double(plan.bytes), progress)
      try writeDatabase("\(building)/account.sqlite", meter)
      try writeRecordings(building, meter)
      try disk.syncDirectory(building)
      try disk.rename(building, to: out)
      try disk.syncDirectory(parentDirectory(of: out) ?? ".")
    } catch { throw BackupError(anyOf: error) }
    let erased = reader.manifest.body.recordings.map(\.id).filter { !reader.recordings.hasKey($0) }
    return RestoreReport(plan: plan, account: plan.account, erased: erased)
  }

  private func writeDatabase(_ path: String, _ meter: ProgressMeter) throws {
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
  }

  private func writeRecordings(_ building: String, _ meter: ProgressMeter) throws {
    let host = reader.pages.host
    var paths = SafePath()
    try host.query { connection in try RecordingRows.forEach(in: connection) { paths.note($0.key) } }
    let listed = Dictionary(uniqueKeysWithValues: reader.manifest.body.recordings.map { ($0.id, $0) })
    let list = try LineFile(disk, "\(building)/recordings.jsonl")
    var directories: Set<String> = []
    try disk.makeDirectory("\(building)/recordings")
    directories.insert("\(building)/recordings")
    try host.query { connection in
      try RecordingRows.forEach(in: connection) { row in
        guard let recording = listed[row.id] else {
          throw BackupError(.damaged, "the snapshot lists no recording \(row.id)")
        }
        let path = "recordings/\(paths.path(of: row.key))"
        let erased = !reader.recordings.hasKey(row.id)
        try list.append(Self.line(row, path: erased ? nil : path))
        guard !erased else { return }
        try writeRecording(recording, row, "\(building)/\(path)", &directories, meter)
      }
    }
    try list.finish()
    // From the deepest up, so that no name depends on one that is not durable.
    for directory in directories.sorted(by: >) { try disk.syncDirectory(directory) }
  }

  private func writeRecording(
    _ recording: ManifestBody.Recording, _ row: RecordingRows.Named, _ path: String, _ directories: inout Set<String>,
    _ meter: ProgressMeter
  ) throws {
    var directory = parentDirectory(of: path) ?? "."
    try disk.makeDirectory(directory)
    while directories.insert(directory).inserted { directory = parentDirectory(of: directory) ?? "." }
    let file = try disk.open(path, .create)
    let md5 = Hasher(.md5)
    var offset: UInt64 = 0
    try reader.read(recording) { chunk in
      try file.write(chunk, at: offset)
      md5.update(chunk)
      offset += UInt64(chunk.count)
      meter.advance(chunk.count)
    }
    guard md5.finish() == row.md5, offset == UInt64(clamping: row.bytes) else {
      throw BackupError(.damaged, "recording \(row.id) is not what its row says", path: path)
    }
    try file.sync()
  }

  private static func line(_ row: RecordingRows.Named, path: String?) -> String {
    let place = path.map { "\"path\":\(JSONText.quoted($0))" } ?? "\"erased\":true"
    return "{\"key\":\(JSONText.quoted(row.key)),\(place),\"bytes\":\(row.bytes),\"md5\":\"\(row.md5.hex)\"}"
  }
}
