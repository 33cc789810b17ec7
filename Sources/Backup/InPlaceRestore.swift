// Restores an account in place: archive what is there, compare, check, bring recordings back, commit, check again.
//
// Until the commit nothing of the account has changed but chunks in its volumes that no row names yet. The commit is one
// transaction of the account's log (`Engine.replace`), so it is there as a whole or not at all, and the state before it
// lies in the archive already: an undo is a restore to the position before it.

import AtRest
import Base
import Disk
import Formats
import SQLite
import ShardStore

struct InPlaceRestore: Sendable {
  let archive: AccountArchive
  let engine: Engine
  let request: InPlaceRequest

  private var account: AccountID { archive.layout.account }
  /// The account may be opened anew between comparing and committing.
  private static let attempts = 3
  /// Databases up to this size are compared row by row in a dry run.
  private static let diffBytesMax = 1 << 30

  func run() async throws -> InPlaceReport {
    for attempt in 1... {
      if let done = try await repeated() { return done }
      do { return try await runOnce() } catch let error as StoreError {
        switch error.code {
        case .closed where attempt < Self.attempts, .notApplied where attempt < Self.attempts: continue
        case .tooLarge: throw BackupError(.refused, error.message)
        default: throw error
        }
      }
    }
    preconditionFailure("the loop ends by itself")
  }

  /// Set when the same request did it before.
  private func repeated() async throws -> InPlaceReport? {
    guard let key = request.request, !request.dryRun else { return nil }
    let found = try await engine.read(account) { try ReplaceCatalog.entry($0, of: key) }.value
    return found.map { entry in
      var report = InPlaceReport()
      (report.before, report.restore, report.isRepeated) = (entry.before, entry.id, true)
      return report
    }
  }

  private func runOnce() async throws -> InPlaceReport {
    request.progress(0, "archiving what is there")
    try await secure()
    request.progress(0.05, "reading")
    var work = try await compared()
    try Task.checkCancellation()
    if request.dryRun { return try await dryRun(work) }
    request.progress(0.4, "checking")
    let state = work.state
    try await BackupWork.perform { try state.checkIntegrity() }
    try Task.checkCancellation()
    try await bringBack(work)
    try Task.checkCancellation()
    request.progress(0.9, "committing")
    try await commit(&work)
    return try await finished(work.report)
  }

  // MARK: before

  /// Makes sure that the archive leads to what is there now.
  private func secure() async throws {
    for attempt in 0..<2 {
      let position = try await PinnedSource.pin(engine, account).position
      do {
        try await archive.archiveLog(of: engine)
        let (disk, layout) = (archive.disk, archive.layout)
        return try await BackupWork.perform { _ = try MomentPlanner(disk: disk, layout: layout).way(to: position) }
      } catch let error as BackupError where attempt == 0 && (error.code == .refused || error.code == .notFound) {
        if request.dryRun { return }
        // The archived log does not reach the present: a snapshot does.
        _ = try await archive.createSnapshot(of: engine, kind: .manual)
      }
    }
    throw BackupError(.failed, "the state before the restore cannot be archived; take a snapshot and try again")
  }

  /// A wanted state, compared.
  struct Work: Sendable {
    var state: InPlaceState
    var report: InPlaceReport
    /// What its rows name and has a key.
    var recordings: [ManifestBody.Recording]
    var returning: [RecordingID]
    var missing: [ManifestBody.Recording]
    /// Every recording that a row of the state names, erased ones too.
    var named: [RecordingID]
  }

  private func compared() async throws -> Work {
    let reader = try await opened()
    // Behind all that the archive has, and so behind the wanted state: what changed since covers the way to both.
    let source = try await PinnedSource.pin(engine, account)
    guard reader.plan.end.index <= source.position.index else {
      throw BackupError(.failed, "the archive is ahead of the account, which was replaced meanwhile; try again")
    }
    let changes = try await source.changes(since: reader.snapshot.manifest.header.position)
    let (spool, pagesMax, progress) = (engine.spool(), engine.replacementPagesMax, request.progress)
    let total = Double(reader.plan.databasePages * Limits.pageBytes) + Double(reader.plan.logBytes)
    let meter = ProgressMeter(total: total) { progress(0.05 + 0.3 * $0, "comparing") }
    let state = try await BackupWork.perform {
      try InPlaceState(reader, source, changes: changes, spool: spool, pagesMax: pagesMax, meter)
    }
    return try await BackupWork.perform { try sorted(state) }
  }

  private func opened() async throws -> MomentReader {
    let (disk, layout, request) = (archive.disk, archive.layout, request)
    return try await BackupWork.perform {
      let opener = try ArchivedAccountKeys.read(disk: disk, layout: layout, unlockedBy: request.unlock)
      return switch request.state {
      case .snapshot(let id): try MomentReader.open(snapshot: id, disk: disk, layout: layout, opener)
      case .moment(let moment): try MomentReader.open(at: moment, disk: disk, layout: layout, opener)
      case .position(let position): try MomentReader.open(to: position, disk: disk, layout: layout, opener)
      }
    }
  }

  /// What becomes of recordings. Blocks.
  private func sorted(_ state: InPlaceState) throws -> Work {
    let rows = try state.recordings()
    let keyring = state.source.keyring
    let named = Set(rows.map(\.id))
    var live: Set<RecordingID> = []
    try state.source.host.query { connection in
      try RecordingCatalog.forEachID(connection) { live.insert($0) }
    }
    let kept = rows.filter { keyring.hasRecordingKey($0.id) }
    let absent = Set(try engine.absent(account, kept.map(\.id)))
    let missing = kept.filter { absent.contains($0.id) }
    let reader = state.reader.snapshot
    let lost = missing.reduce(0) { count, recording in
      count + (0..<recording.chunks).count { !reader.index.contains(reader.keys.name(of: recording.id, chunk: $0)) }
    }
    guard lost == 0 else {
      throw BackupError(.damaged, "\(lost) chunks of recordings of that state are in no pack of the archive")
    }
    var report = InPlaceReport()
    var plan = state.reader.restorePlan
    report.erased = plan.take(rows, hasKey: keyring.hasRecordingKey)
    report.plan = plan
    report.changedPages = state.images.count
    report.databasePages = state.pageCount
    report.returning = kept.count { !live.contains($0.id) }
    report.broughtBack = missing.count
    report.broughtBackBytes = missing.reduce(0) { $0 + $1.bytes }
    report.vanishing = live.count { !named.contains($0) }
    report.before = state.source.position
    return Work(
      state: state, report: report, recordings: kept, returning: kept.map(\.id).filter { !live.contains($0) },
      missing: missing, named: rows.map(\.id))
  }

  private func dryRun(_ work: Work) async throws -> InPlaceReport {
    var report = work.report
    guard max(work.state.pageCount, work.state.source.view.pageCount) * Limits.pageBytes <= Self.diffBytesMax else {
      return report
    }
    let cancellation = CancelFlag()
    let wanted = request.state
    report.diff = try await withTaskCancellationHandler {
      try await BackupWork.perform { () throws -> DiffReport in
        let source = work.state.source
        var diff = DiffReport(
          from: .init(name: "live", position: source.position, createdAt: nil),
          to: .init(name: "\(wanted)", position: work.state.reader.plan.end, createdAt: nil))
        try source.host.query { old in
          try work.state.host.query { new in
            var tables = DiffTables(old: old, new: new, listed: 0, cancellation: cancellation)
            try tables.fill(&diff)
          }
        }
        return diff
      }
    } onCancel: {
      cancellation.set()
    }
    return report
  }

  // MARK: the restore

  private func bringBack(_ work: Work) async throws {
    let (engine, account) = (engine, account)
    try await engine.keep(account, work.returning)
    let reader = work.state.reader.snapshot
    let progress = request.progress
    let meter = ProgressMeter(total: Double(work.report.broughtBackBytes)) {
      progress(0.7 + 0.2 * $0, "bringing recordings back")
    }
    try await BackupWork.perform {
      try BackupWork.forEach(work.missing.count) { number in
        try Self.bringBack(work.missing[number], reader, meter) { try engine.bringBack(account, $0, $1) }
      }
    }
    // What was there all along must be as durable as what has just come.
    guard try await engine.missing(account, work.returning).isEmpty else {
      throw StoreError(.notApplied, "a recording of the restored state went away meanwhile; try again")
    }
  }

  /// Each chunk opens, decodes and has the name that its row says, before the rows may count.
  private static func bringBack(
    _ recording: ManifestBody.Recording, _ reader: SnapshotReader, _ meter: ProgressMeter,
    _ install: (RecordingID, () throws -> [UInt8]?) throws -> Void
  ) throws {
    var number = 0
    var names: [[UInt8]] = []
    try install(recording.id) {
      guard number < recording.chunks else { return nil }
      let chunk = try reader.sealed(number, of: recording)
      names.append(reader.recordings.name(ofChunk: chunk.original))
      number += 1
      meter.advance(chunk.original.count)
      guard number == recording.chunks, RecordingRoot.hash(names) != recording.root else { return chunk.frame }
      throw BackupError(.damaged, "recording \(recording.id) is not what its row says")
    }
  }

  private func commit(_ work: inout Work) async throws {
    let entry = ReplacementEntry(
      id: request.id, at: 0, undoes: request.undoes, before: .start, what: "\(request.state)")
    let replacement = Replacement(
      view: work.state.source.view, pageCount: work.state.pageCount, images: work.state.images,
      recordings: work.named, entry: entry, request: request.request)
    do {
      let answer = try await engine.replace(account, replacement)
      work.report.before = answer.value.entry.before
      work.report.restore = answer.value.entry.id
      work.report.position = answer.value.isRepeated ? nil : answer.position
      work.report.erased = answer.value.erased
      work.report.changedPages = answer.value.pages
      work.report.isRepeated = answer.value.isRepeated
    } catch let error as StoreError where error.code == .unknown {
      // Its own row says whether it is there.
      let id = request.id
      guard let done = try? await engine.read(account, { try ReplaceCatalog.entry($0, id: id) }).value else {
        throw error
      }
      work.report.before = done.before
    }
  }

  /// The state before may have grown between archiving and committing: its end is archived now. The restored state is
  /// checked as it lies there.
  private func finished(_ made: InPlaceReport) async throws -> InPlaceReport {
    var report = made
    request.progress(0.95, "checking what is there now")
    do { try await archive.archiveLog(of: engine) } catch { report.archiveFailure = BackupError(anyOf: error).message }
    let source = try await PinnedSource.pin(engine, account)
    do {
      try await BackupWork.perform { try InPlaceState.checkIntegrity(of: source.host, "the restored database") }
    } catch {
      throw BackupError(.damaged, "\(BackupError(anyOf: error).message): undo this restore")
    }
    return report
  }
}

extension SnapshotReader {
  /// Chunk `number` as it lay in its volume, and as it was recorded.
  fileprivate func sealed(_ number: Int, of recording: ManifestBody.Recording) throws(BackupError) -> (
    frame: [UInt8], original: [UInt8]
  ) {
    try index.read(keys.name(of: recording.id, chunk: number)) { frame -> (frame: [UInt8], original: [UInt8])? in
      recordings.open(frame.body, number: number, count: recording.chunks, of: recording.id).map {
        (Array(frame.body), $0.original)
      }
    }
  }
}
