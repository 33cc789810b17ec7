// What damage to an archive's files costs: which moments can be restored, and which could be if a file were whole.
//
// A file that is missing or does not parse is put back for the comparison as far as its neighbours tell what it was: a run
// by the runs around it, a snapshot by the time in its name. The difference of the two maps is what the file costs.

import Base
import Disk
import Formats

struct MomentLosses {
  let layout: ArchiveLayout
  /// Everything that is there or must have been.
  private let runs: [LogRun]
  private let snapshots: [SnapshotInfo]
  private let times: [Position: UnixMicroseconds]
  /// Runs that are in no file: their paths, with what shows that they existed.
  let missing: [Missing]
  /// Everything that the archive holds or should: all its moments.
  let all: [MomentSpan]

  struct Missing {
    var path: String
    var message: String
    /// No run follows it.
    var isLast: Bool
  }

  init(_ disk: any Disk, _ layout: ArchiveLayout) throws(BackupError) {
    self.layout = layout
    let list = try ManifestStore(disk: disk, layout: layout).list()
    let log = try ArchivedLog(disk: disk, layout: layout).list()
    let unread = Set(log.damaged.compactMap(\.path))
    let (runs, missing) = Self.filled(log.runs, list.snapshots, layout, unread)
    self.runs = runs
    self.missing = missing
    snapshots = (list.snapshots + Self.assumed(try Self.lostManifests(disk, layout, list), runs, layout))
      .sorted { ($0.position.epoch, $0.position.index) < ($1.position.epoch, $1.position.index) }
    times = try Self.times(of: snapshots, in: log.runs, disk)
    all = try Self.spans(snapshots, runs, times)
  }

  /// What can be restored without the files at `paths`.
  func spans(without paths: Set<String>) throws(BackupError) -> [MomentSpan] {
    try Self.spans(snapshots.filter { !paths.contains($0.path) }, runs.filter { !paths.contains($0.path) }, times)
  }

  /// What the files at `paths` cost together.
  func cost(of paths: Set<String>) throws(BackupError) -> [MomentSpan] {
    Self.difference(all, try spans(without: paths))
  }

  /// Of `spans` what the archive holds or should.
  func within(_ spans: [MomentSpan]) -> [MomentSpan] { Self.difference(all, Self.difference(all, spans)) }

  static func difference(_ whole: [MomentSpan], _ left: [MomentSpan]) -> [MomentSpan] {
    var lost = whole
    for span in left {
      lost = lost.flatMap { piece -> [MomentSpan] in
        guard span.from <= piece.through, span.through >= piece.from else { return [piece] }
        var rest: [MomentSpan] = []
        if piece.from < span.from { rest.append(MomentSpan(from: piece.from, through: span.from - 1)) }
        if piece.through > span.through { rest.append(MomentSpan(from: span.through + 1, through: piece.through)) }
        return rest
      }
    }
    return lost
  }

  // MARK: what must have been

  private static func spans(
    _ snapshots: [SnapshotInfo], _ runs: [LogRun], _ times: [Position: UnixMicroseconds]
  ) throws(BackupError) -> [MomentSpan] {
    try MomentMap(snapshots: snapshots, runs: runs) { _, place in times[place] }.spans
  }

  /// Times of the records that snapshots lie at in the middle of a run.
  private static func times(of snapshots: [SnapshotInfo], in runs: [LogRun], _ disk: any Disk) throws(BackupError)
    -> [Position: UnixMicroseconds]
  {
    var times: [Position: UnixMicroseconds] = [:]
    for place in Set(snapshots.map(\.position)) {
      guard let run = runs.first(where: { $0.header.first <= place.index && place.index < $0.header.last }) else {
        continue
      }
      // In a run that does not parse the end of the run before is the best that is known.
      times[place] = try MomentMap.time(of: place, in: run, disk) ?? run.header.firstTime
    }
    return times
  }

  /// `runs` with the holes between them filled, and what the holes were.
  private static func filled(
    _ runs: [LogRun], _ snapshots: [SnapshotInfo], _ layout: ArchiveLayout, _ unread: Set<String>
  ) -> ([LogRun], [Missing]) {
    var whole: [LogRun] = []
    var missing: [Missing] = []
    func fill(
      _ last: Position, _ lastTime: UnixMicroseconds, upTo end: Position, _ time: UnixMicroseconds, _ proof: String,
      isLast: Bool
    ) {
      let header = LogRunHeader(
        account: layout.account, first: last.index + 1, last: end, previous: last.checksum, previousTime: lastTime,
        firstTime: lastTime + 1, lastTime: max(time, lastTime + 1), records: Int(clamping: end.index - last.index),
        keyBytes: 0, frameBytes: 0)
      let path = layout.logRun(first: header.first)
      whole.append(LogRun(header: header, path: path))
      guard !unread.contains(path) else { return }
      missing.append(
        Missing(
          path: path, message: "records \(header.first) to \(header.last) of the log are in no file, but \(proof)",
          isLast: isLast))
    }
    for run in runs where run.header.last > whole.last?.header.last ?? 0 {
      // In front of the first run it is the oldest snapshot that something must have followed.
      let before =
        whole.last.map { ($0.header.end, $0.header.lastTime) }
        ?? snapshots.first.map { ($0.position, min($0.createdAt, run.header.previousTime)) }
      if let (last, time) = before, run.header.first > last.index + 1 {
        let end = Position(epoch: last.epoch, index: run.header.first - 1, checksum: run.header.previous)
        fill(last, time, upTo: end, run.header.previousTime, "record \(run.header.first) follows them", isLast: false)
      }
      whole.append(run)
    }
    if let last = whole.last?.header, let newest = snapshots.last, newest.position.index > last.last {
      fill(
        last.end, last.lastTime, upTo: newest.position, newest.createdAt, "snapshot \(newest.id) holds what they did",
        isLast: true)
    }
    return (whole, missing)
  }

  /// Snapshots whose manifests do not parse, or are gone from beside their proofs.
  private static func lostManifests(_ disk: any Disk, _ layout: ArchiveLayout, _ list: SnapshotList) throws(BackupError)
    -> Set<String>
  {
    var lost = Set(list.damaged.compactMap(\.path))
    let names: [String]
    do throws(DiskError) { names = try disk.list(layout.manifests) } catch {
      guard error.code == .notFound else { throw BackupError(error) }
      return lost
    }
    for name in names where name.hasSuffix(ArchiveLayout.proofSuffix) {
      let manifest = String(name.dropLast(ArchiveLayout.proofSuffix.count))
      if !names.contains(manifest) { lost.insert("\(layout.manifests)/\(manifest)") }
    }
    return lost
  }

  /// Lost snapshots where their names say that they were.
  private static func assumed(_ paths: Set<String>, _ runs: [LogRun], _ layout: ArchiveLayout) -> [SnapshotInfo] {
    paths.sorted().compactMap { path in
      let name = path.split(separator: "/").last.map(String.init) ?? ""
      guard let id = ArchiveLayout.snapshotID(ofFile: name), let time = name.split(separator: "-").first,
        let createdAt = UnixMicroseconds(time)
      else { return nil }
      let before = runs.last { $0.header.lastTime <= createdAt }?.header
      let first = runs.first?.header
      let place =
        before?.end ?? first.map { Position(epoch: 0, index: $0.first - 1, checksum: $0.previous) } ?? .start
      let header = ManifestHeader(
        account: layout.account, snapshot: id, kind: .daily, createdAt: createdAt, position: place, databasePages: 0,
        recordings: 0, recordingBytes: 0, addedBytes: 0, publicKey: [], nonce: [], bodyBytes: 0)
      return SnapshotInfo(header: header, state: .stored, path: path)
    }
  }
}
