// Writes what an offline restore gives back, into a directory that gets its name when all of it is durable.
//
// What is durable is noted in the directory (`RestoreProgress`): pages of the database, then how many recordings in the
// order of their keys, and how long the list of them is. A later run believes that and nothing else, and compares even
// that: groups of pages with their names, files with their rows.

import Base
import Disk
import Formats
import OpenSSL
import SQLite
import Threads

struct OfflineWriter {
  let disk: any Disk
  let reader: SnapshotReader
  let moment: MomentReader?
  /// The chosen part, where not everything is wanted. It is always begun anew.
  let selected: SelectedDatabase?
  let out: String
  let control: RestoreControl
  let meter: ProgressMeter
  private var building: String { out + OfflineRestore.unfinishedSuffix }

  private static func binding(_ reader: SnapshotReader, _ moment: MomentReader?) -> [UInt8] {
    ResumableRestore.binding(
      reader, end: moment?.plan.end ?? reader.manifest.header.position, target: AccountID(bits: 0))
  }

  /// Nobody goes on with a part, and least of all with everything where it was only a part.
  private var binding: [UInt8] {
    guard selected != nil else { return Self.binding(reader, moment) }
    var random = SystemRandom()
    return ResumableRestore.binding(
      reader, end: moment?.plan.end ?? reader.manifest.header.position, target: AccountID(from: &random))
  }

  /// What an earlier run of this very restore noted in `directory`.
  static func progress(
    _ disk: any Disk, _ directory: String, _ reader: SnapshotReader, _ moment: MomentReader?
  ) throws(BackupError) -> RestoreProgress? {
    let path = "\(directory)/\(RestoreProgress.fileName)"
    guard try onDisk({ () throws(DiskError) in try disk.info(path) }) != nil,
      let bytes = try? disk.readAll(path, limit: RestoreProgress.bytesMax), let found = try? RestoreProgress(bytes),
      found.binding == binding(reader, moment),
      let database = try onDisk({ () throws(DiskError) in try disk.info("\(directory)/account.sqlite") }),
      database.bytes >= UInt64(found.pages) * UInt64(Limits.pageBytes)
    else { return nil }
    return found
  }

  func run(_ plan: RestorePlan) throws -> RestoreReport {
    if try disk.info(out) != nil {
      guard selected == nil, let earlier = try Self.progress(disk, out, reader, moment), earlier.step == .recordings
      else {
        throw BackupError(.exists, "there is something at \(out) already; choose another directory", path: out)
      }
      let database = PlainDatabase(file: try disk.open("\(out)/account.sqlite", .read))
      let recordings = try moment?.recordings(in: database) ?? reader.manifest.body.recordings
      return try end(plan, recordings, isResumed: true)
    }
    let earlier = selected == nil ? try Self.progress(disk, building, reader, moment) : nil
    do { return try run(plan, after: earlier) } catch let error as BackupError
      where error.code == .damaged && earlier != nil
    {
      // What the earlier run left may be what is damaged.
      return try run(plan, after: nil)
    }
  }

  private func run(_ planned: RestorePlan, after earlier: RestoreProgress?) throws -> RestoreReport {
    var plan = planned
    if earlier == nil {
      if try disk.info(building) != nil { try FileTree.remove(disk, building) }
      try disk.makeDurableDirectory(building)
    }
    var noted =
      earlier
      ?? RestoreProgress(account: AccountID(bits: 0), binding: binding, step: .pages, pages: 0)
    let database = try selected.map(write) ?? writeDatabase(&noted)
    var recordings = selected?.recordings ?? reader.manifest.body.recordings
    if let selected {
      plan.take(selected)
    } else if let moment {
      try replay(moment, into: database, &noted, again: earlier?.step == .replay)
      recordings = try moment.recordings(in: database)
      _ = plan.take(recordings, reader.recordings)
    }
    if noted.step != .recordings {
      noted.step = .recordings
      try note(noted)
    }
    // Of a snapshot's own pages each run looks again, so the recordings need not wait for that.
    let checking =
      selected == nil && moment == nil ? IntegrityCheck(database, reader.manifest.header.databasePages) : nil
    let written = Result { try writeRecordings(recordings, of: database, &noted) }
    try checking?.end()
    try written.get()
    try disk.syncDirectory(building)
    try disk.rename(building, to: out)
    return try end(plan, recordings, isResumed: earlier != nil)
  }

  private func end(
    _ plan: RestorePlan, _ recordings: [ManifestBody.Recording], isResumed: Bool
  ) throws -> RestoreReport {
    try disk.syncDirectory(parentDirectory(of: out) ?? ".")
    try disk.remove("\(out)/\(RestoreProgress.fileName)")
    try disk.syncDirectory(out)
    let erased = selected?.erased ?? recordings.map(\.id).filter { !reader.recordings.hasKey($0) }
    var report = RestoreReport(plan: plan, account: plan.account, erased: erased)
    (report.isResumed, report.chunksRead) = (isResumed, reader.index.reads)
    return report
  }

  private func note(_ progress: RestoreProgress) throws {
    try disk.replaceFile("\(building)/\(RestoreProgress.fileName)", progress.encode())
  }

  // MARK: database

  private func write(_ selected: SelectedDatabase) throws -> PlainDatabase {
    let database = PlainDatabase(file: try disk.open("\(building)/account.sqlite", .create))
    for number in 1...selected.pages.count {
      try control.cancel.check()
      try database.writePage(PageNumber(number), selected.pages.page(PageNumber(number)))
    }
    try database.finish(pages: selected.pages.count)
    return database
  }

  private func writeDatabase(_ noted: inout RestoreProgress) throws -> PlainDatabase {
    let path = "\(building)/account.sqlite"
    let file = try disk.open(path, .createOrOpen)
    // Before anything is noted of it.
    try disk.syncDirectory(building)
    let header = reader.manifest.header
    let groupBytes = Limits.snapshotGroupPages * Limits.pageBytes
    // Once records have changed its pages no name of a group says what they are.
    guard moment == nil || noted.step == .pages else { return PlainDatabase(file: file) }
    let pages = reader.pages
    let pace = RestorePace(control)
    var changed = noted.step == .pages
    for (group, name) in reader.manifest.body.groups.enumerated() {
      try control.cancel.check()
      let (offset, count) = (UInt64(group * groupBytes), reader.manifest.groupBytes(group))
      let end = group * Limits.snapshotGroupPages + count / Limits.pageBytes
      meter.advance(count)
      if end <= Int(noted.pages) {
        let there = try file.read(count, at: offset)
        if there.count == count, reader.keys.name(ofDatabase: there) == name { continue }
      }
      try file.write(try pages.open(group: group), at: offset)
      changed = true
      guard noted.step == .pages, end > Int(noted.pages), pace.isDue(after: count) else { continue }
      try file.sync()
      noted.pages = UInt32(end)
      try note(noted)
    }
    if noted.step == .pages { try file.truncate(to: UInt64(header.databasePages) * UInt64(Limits.pageBytes)) }
    if changed { try file.sync() }
    if noted.step == .pages {
      (noted.pages, noted.step) = (UInt32(header.databasePages), moment == nil ? .pages : .replay)
      try note(noted)
    }
    return PlainDatabase(file: file)
  }

  private func replay(_ moment: MomentReader, into database: PlainDatabase, _ noted: inout RestoreProgress, again: Bool)
    throws
  {
    if noted.step == .recordings {
      meter.advance(Int(clamping: moment.plan.logBytes))
    } else {
      // A run that was killed in this step has changed some pages.
      let base = again ? ReplayPages.Base(reader) : nil
      try moment.replay(into: ReplayPages(database, control.cancel, base), meter)
      try database.finish(pages: moment.plan.databasePages)
      noted.pages = UInt32(moment.plan.databasePages)
    }
    try moment.checkIntegrity(of: database)
  }

  // MARK: recordings

  private func writeRecordings(
    _ recordings: [ManifestBody.Recording], of database: PlainDatabase, _ noted: inout RestoreProgress
  ) throws {
    let host = database.host(
      pages: selected?.pages.count ?? moment?.plan.databasePages ?? reader.manifest.header.databasePages)
    var paths = SafePath()
    try host.query { connection in try RecordingRows.forEach(in: connection) { paths.note($0.key) } }
    let listPath = "\(building)/recordings.jsonl"
    var list = try LineFile(disk, listPath, behind: noted.listBytes)
    if list == nil {
      // Without its list nothing is known of what was written.
      (noted.rows, noted.listBytes, noted.fileBytes) = (0, 0, 0)
      list = try LineFile(disk, listPath, behind: 0)
    }
    guard let list else { throw BackupError(.io, "the list of recordings cannot be written", path: listPath) }
    try disk.makeDirectory("\(building)/recordings")
    let listed = Dictionary(uniqueKeysWithValues: recordings.map { ($0.id, $0) })
    var writing = Writing(
      files: PlainRecordings(reader: reader, disk: disk, meter: meter, control), list: list, noted: noted,
      directories: ["\(building)/recordings", building])
    let found = noted
    try host.query { connection in
      try RecordingRows.forEach(in: connection) { row in
        guard let recording = listed[row.id] else {
          throw BackupError(.damaged, "the snapshot lists no recording \(row.id)")
        }
        let erased = !reader.recordings.hasKey(row.id)
        let path = "recordings/\(paths.path(of: row.key))"
        let isNoted = writing.rows < found.rows
        let line = isNoted ? nil : Self.line(row, path: erased ? nil : path)
        defer { writing.rows += 1 }
        guard !erased else {
          if let line { try list.append(line) }
          return
        }
        var job = PlainRecordings.Job(recording: recording, row: row, path: "\(building)/\(path)")
        if isNoted { job.durable = recording.bytes }
        if writing.rows == found.rows { job.durable = min(found.fileBytes, recording.bytes) }
        try take(job, line, &writing)
      }
    }
    try finish(&writing)
    try list.finish()
    try syncDirectories(&writing)
    noted = writing.noted
  }

  private struct Writing {
    var files: PlainRecordings
    let list: LineFile
    var noted: RestoreProgress
    /// Rows that were passed.
    var rows: UInt64 = 0
    /// With names that are not durable yet.
    var directories: Set<String>
  }

  /// `line` goes into the list; nil when it is there.
  private func take(_ job: PlainRecordings.Job, _ line: String?, _ writing: inout Writing) throws {
    try disk.makeDirectory(parentDirectory(of: job.path) ?? ".")
    guard let line, writing.files.isLarge(job.recording) else {
      addDirectories(of: job.path, &writing)
      if let line { try writing.list.append(line) }
      if writing.files.add(job) { try finish(&writing, alsoThis: true) }
      return
    }
    // What is noted of the list ends before its line.
    try finish(&writing)
    addDirectories(of: job.path, &writing)
    try writing.list.append(line)
    let files = writing.files
    try files.write(job) { durable in
      try syncDirectories(&writing)
      writing.noted.fileBytes = durable
      try note(writing.noted)
    }
    try finish(&writing, alsoThis: true)
  }

  private func addDirectories(of path: String, _ writing: inout Writing) {
    var directory = parentDirectory(of: path) ?? "."
    while directory.utf8.count > building.utf8.count, writing.directories.insert(directory).inserted {
      directory = parentDirectory(of: directory) ?? "."
    }
  }

  /// Everything that was passed is durable, names too, and noted. `alsoThis` counts the row that is being passed.
  private func finish(_ writing: inout Writing, alsoThis: Bool = false) throws {
    try writing.files.finish()
    let rows = writing.rows + (alsoThis ? 1 : 0)
    guard rows > writing.noted.rows else { return }
    let bytes = try writing.list.finish()
    try syncDirectories(&writing)
    (writing.noted.rows, writing.noted.listBytes, writing.noted.fileBytes) = (rows, bytes, 0)
    try note(writing.noted)
  }

  /// From the deepest up, so that no name depends on one that is not durable.
  private func syncDirectories(_ writing: inout Writing) throws {
    for directory in writing.directories.sorted(by: >) { try disk.syncDirectory(directory) }
    // A later file may lie in any of them again.
    writing.directories = []
  }

  private static func line(_ row: RecordingRows.Named, path: String?) -> String {
    let place = path.map { "\"path\":\(JSONText.quoted($0))" } ?? "\"erased\":true"
    return "{\"key\":\(JSONText.quoted(row.key)),\(place),\"bytes\":\(row.bytes),\"md5\":\"\(row.md5.hex)\"}"
  }
}

/// SQLite's look at a whole database, on a thread of its own.
private final class IntegrityCheck: Sendable {
  private let result = Lock<Result<Void, any Error>>(.success(()))
  private let thread: Thread

  init(_ database: PlainDatabase, _ pages: Int) {
    thread = Thread(name: "integrity", priority: BackupWork.priority) { [result] in
      let found = Result {
        let rows = try database.host(pages: pages).query { try $0.query("PRAGMA integrity_check(20)") }
        guard rows == [[.text("ok")]] else {
          let first = rows.first?.first.map { "\($0)" } ?? "no answer"
          throw BackupError(.damaged, "the snapshot's database fails its integrity check: \(first)")
        }
      }
      result.with { $0 = found }
    }
  }

  /// Waits for it; throws what is wrong.
  func end() throws {
    thread.join()
    try result.with { $0 }.get()
  }
}
