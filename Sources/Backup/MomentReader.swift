// One moment of an archive, opened for reading: a snapshot, the records behind it, and what opens both. What a restore
// into an engine and one into plain files share.

import AtRest
import Base
import Disk
import Formats
import OpenSSL
import SQLite

struct MomentReader: Sendable {
  let snapshot: SnapshotReader
  let plan: MomentPlan
  var replay: LogReplay
  private let survey: LogReplay.Survey

  /// Finds the way to `moment` and surveys it; blocks for as long as it takes to read the records once, and the snapshot's
  /// database when `verifying`. A snapshot that is not whole is passed over for an earlier one: the log leads from there
  /// too.
  static func open(
    at moment: UnixMicroseconds, disk: any Disk, layout: ArchiveLayout, _ opener: ArchivedAccountKeys,
    verifying: Bool = false
  ) throws(BackupError) -> MomentReader {
    let way = try MomentPlanner(disk: disk, layout: layout).way(to: moment)
    return try open(way, wanted: moment, disk: disk, layout: layout, opener, verifying: verifying)
  }

  /// As it was at a position of its log, rather than at a time.
  static func open(
    to position: Position, disk: any Disk, layout: ArchiveLayout, _ opener: ArchivedAccountKeys
  ) throws(BackupError) -> MomentReader {
    let way = try MomentPlanner(disk: disk, layout: layout).way(to: position)
    return try open(way, wanted: way.time, disk: disk, layout: layout, opener, verifying: false)
  }

  /// A snapshot and nothing behind it.
  static func open(
    snapshot: SnapshotID, disk: any Disk, layout: ArchiveLayout, _ opener: ArchivedAccountKeys
  ) throws(BackupError) -> MomentReader {
    let way = try MomentPlanner(disk: disk, layout: layout).way(to: snapshot)
    return try open(way, wanted: way.time, disk: disk, layout: layout, opener, verifying: false)
  }

  private static func open(
    _ way: MomentPlanner.Way, wanted moment: UnixMicroseconds, disk: any Disk, layout: ArchiveLayout,
    _ opener: ArchivedAccountKeys, verifying: Bool
  ) throws(BackupError) -> MomentReader {
    var failure: BackupError?
    for base in way.bases {
      do throws(BackupError) {
        let reader = try SnapshotReader.open(path: base.path, disk: disk, layout: layout, opener)
        let missing = reader.manifest.body.groups.count { !reader.index.contains($0) }
        guard missing == 0 else {
          throw BackupError(
            .damaged, "\(missing) chunks of the snapshot are in no pack of the archive", path: base.path)
        }
        if verifying { try reader.checkIntegrity() }
        return try open(reader, way, moment, opener)
      } catch {
        guard error.code == .damaged || error.code == .notFound else { throw error }
        failure = failure ?? error
      }
    }
    throw failure ?? BackupError(.notFound, "the archive holds no snapshot", path: layout.manifests)
  }

  private static func open(
    _ reader: SnapshotReader, _ way: MomentPlanner.Way, _ moment: UnixMicroseconds, _ opener: ArchivedAccountKeys
  ) throws(BackupError) -> MomentReader {
    let header = reader.manifest.header
    let replay = LogReplay(
      log: way.log, runs: way.runs, start: header.position,
      startPages: header.databasePages, end: way.end, logWrap: opener.logWrap)
    let survey = try replay.survey()
    let plan = MomentPlan(
      wanted: moment, snapshot: header.snapshot, snapshotPosition: header.position, end: way.end, time: way.time,
      records: survey.records, logBytes: survey.bytes, logFiles: survey.files, databasePages: survey.databasePages,
      isClamped: way.isClamped)
    return MomentReader(snapshot: reader, plan: plan, replay: replay, survey: survey)
  }

  /// The snapshot's plan with the moment's position and size. The recordings are those of the snapshot: which ones the
  /// moment has only its database says.
  var restorePlan: RestorePlan {
    var plan = RestorePlan(snapshot)
    plan.position = self.plan.end
    plan.databaseBytes = UInt64(self.plan.databasePages) * UInt64(Limits.pageBytes)
    plan.moment = self.plan
    return plan
  }

  /// Brings `pages` from the snapshot's position to the moment.
  func replay(into pages: any MomentPages, _ meter: ProgressMeter) throws(BackupError) {
    try replay.run(into: pages, survey, meter)
  }

  /// The recordings that the rows of `pages` name, after they were brought up to the moment. `.damaged` when the archive
  /// lacks chunks of one that was not erased.
  func recordings(in pages: any MomentPages) throws(BackupError) -> [ManifestBody.Recording] {
    let rows = try query(pages) { try RecordingRows.all(in: $0) }
    var missing = 0
    var recordings: [ManifestBody.Recording] = []
    for row in rows {
      recordings.append(.init(id: row.id, bytes: row.bytes, chunks: row.chunks, root: row.root))
      guard snapshot.recordings.hasKey(row.id) else { continue }
      for number in 0..<row.chunks where !snapshot.index.contains(snapshot.keys.name(of: row.id, chunk: number)) {
        missing += 1
      }
    }
    guard missing == 0 else {
      throw BackupError(.damaged, "\(missing) chunks of recordings of that moment are in no pack of the archive")
    }
    return recordings
  }

  /// Fails when SQLite finds anything wrong in the database that `pages` hold.
  func checkIntegrity(of pages: any MomentPages) throws(BackupError) {
    let rows = try query(pages) { try $0.query("PRAGMA integrity_check(20)") }
    guard rows == [[.text("ok")]] else {
      let first = rows.first?.first.map { "\($0)" } ?? "no answer"
      throw BackupError(.damaged, "the database at that moment fails its integrity check: \(first)")
    }
  }

  /// Runs `body` on the database that `pages` hold now.
  func query<T>(_ pages: any MomentPages, _ body: (Connection) throws -> T) throws(BackupError) -> T {
    let host = ReadOnlyPages(pageCount: plan.databasePages) { (number) throws(BackupError) in
      do { return try pages.readPage(number)[...] } catch { throw BackupError(anyOf: error) }
    }
    return try host.query(body)
  }
}
