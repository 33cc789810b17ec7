// A merge from beginning to end: the old state is opened where it lies, bytes of recordings are made durable, then one
// transaction on the account's writer compares and changes, and remembers how to go back.
//
// What is compared before the transaction only says which bytes are needed; what counts is compared inside it.

package import AtRest
package import Base
package import Disk
import SQLite
package import ShardStore
import Threads

/// The merge, or the undo, found what it may not change: everything is as it was.
package struct MergeRefused: Error, Sendable {
  package var report: MergeReport
}

package struct MergeUndoRequest: Sendable {
  package var merge: MergeID
  package var policy: MergePolicy
  package var dryRun: Bool
  package var listed: Int
  package var idempotency: (key: String, hash: [UInt8])?

  package init(
    merge: MergeID, policy: MergePolicy = .refuse, dryRun: Bool = false, listed: Int = 1_000,
    idempotency: (key: String, hash: [UInt8])? = nil
  ) {
    (self.merge, self.policy, self.dryRun, self.listed) = (merge, policy, dryRun, listed)
    self.idempotency = idempotency
  }
}

package struct AccountMerge: Sendable {
  private let disk: any Disk
  private let layout: ArchiveLayout
  private let unlock: KeyringUnlock
  private let clock: @Sendable () -> UnixMicroseconds
  private var account: AccountID { layout.account }
  private static let roundsMax = 8

  /// `clock` gives microseconds since 1970; it dates merges.
  package init(
    disk: any Disk, layout: ArchiveLayout, unlockedBy unlock: KeyringUnlock,
    clock: @escaping @Sendable () -> UnixMicroseconds = { SystemClock().unixMicroseconds() }
  ) {
    (self.disk, self.layout, self.unlock, self.clock) = (disk, layout, unlock, clock)
  }

  private struct RolledBack: Error { var report: MergeReport }
  private struct NotKnown: Error {}

  // MARK: merge

  /// Throws `MergeRefused` when rows are otherwise now and the policy is to refuse, or when a rule of the schema would not
  /// hold; then nothing was changed.
  package func run(
    _ request: MergeRequest, in engine: Engine, progress: @escaping @Sendable (Double, String) -> Void = { _, _ in }
  ) async throws -> MergeReport {
    if let known = try await known(request.idempotency, in: engine) {
      return try await told(known, source: nil, in: engine)
    }
    let (disk, layout, unlock) = (disk, layout, unlock)
    progress(0, "opening the old state")
    let source = try await BackupWork.perform {
      try MergeSource.open(request.from, disk: disk, layout: layout, unlockedBy: unlock)
    }
    try await expire(request.keep, in: engine)
    progress(0.1, "comparing")
    if request.dryRun { return try await attempt(request, source, MergedBytes(), in: engine, isDry: true) }
    let preparation = MergePreparation(source: source, request: request, account: account, engine: engine)
    var bytes = MergedBytes()
    var wanted = try await preparation.wanted()
    for round in 0..<Self.roundsMax {
      let missing = try await preparation.keep(wanted, &bytes)
      if !missing.isEmpty {
        // Before bytes are written for a merge that would be refused.
        if round == 0 { _ = try await attempt(request, source, bytes, in: engine, isDry: true) }
        try await preparation.copy(missing, &bytes) { progress(0.1 + 0.7 * $0, "recordings") }
      }
      progress(0.8, "merging")
      do {
        return try await attempt(request, source, bytes, in: engine, isDry: false)
      } catch let error as MergeBytesMissing {
        wanted = error.recordings
      }
    }
    throw BackupError(.failed, "recordings are deleted while they are merged: try again when the account is quiet")
  }

  private func attempt(
    _ request: MergeRequest, _ source: MergeSource, _ bytes: MergedBytes, in engine: Engine, isDry: Bool
  ) async throws -> MergeReport {
    let now = clock()
    let result = Lock<MergeReport?>(nil)
    let cancellation = CancelFlag()
    let body = { @Sendable (live: Connection) throws -> [UInt8] in
      let report = try Self.translating {
        try source.query { old in
          try Self.merge(request, source.side, bytes, isDry: isDry, at: now, old: old, live: live, cancellation)
        }
      }
      result.with { $0 = report }
      return MergeJournal.bytes(request.id)
    }
    do {
      let answer = try await withTaskCancellationHandler {
        try await engine.write(
          account,
          idempotency: isDry ? nil : request.idempotency.map { Idempotency(key: $0.key, requestHash: $0.hash) },
          body)
      } onCancel: {
        cancellation.set()
      }
      guard !answer.replayed, let report = result.with({ $0 }) else {
        return try await told(answer.value, source: source.side, in: engine)
      }
      return report
    } catch let rolledBack as RolledBack {
      return rolledBack.report
    } catch let error as StoreError where error.code == .tooLarge {
      throw Self.tooLarge
    }
  }

  private static func merge(
    _ request: MergeRequest, _ side: DiffReport.Side, _ bytes: MergedBytes, isDry: Bool, at now: UnixMicroseconds,
    old: Connection, live: Connection, _ cancellation: CancelFlag
  ) throws -> MergeReport {
    let checks = MergeChecks(connection: live)
    var rows = MergeRows(
      selection: request.selection, policy: request.policy, old: old, live: live, checks: checks,
      journal: try MergeJournal(live, request.id),
      report: MergeReport(merge: request.id, source: side, listed: request.listed),
      tick: { try cancellation.check() })
    try checks.run {
      try rows.mergeRecordings(bytes, isDry: isDry, at: now)
      try rows.run()
      try rows.report.note(dangling: checks.danglingRows(near: rows.report.tables.map(\.name)))
    }
    let report = rows.report
    guard report.violations == 0, request.policy != .refuse || report.conflictCount == 0 else {
      throw MergeRefused(report: report)
    }
    if isDry { throw RolledBack(report: report) }
    try rows.journal.finish(report, at: now)
    return report
  }

  private static func translating<R>(_ body: () throws -> R) throws -> R {
    do { return try body() } catch let error as SQLiteError {
      guard error.code == .full else { throw BackupError(.failed, "the merge stopped: \(error.message)") }
      throw tooLarge
    }
  }

  private static let tooLarge = BackupError(
    .refused,
    "the merge changes more than one transaction can hold (256 MiB of pages): choose fewer rows, in several merges")

  // MARK: undo

  /// Takes the rows and recordings of a merge back. `.notFound` when it is not known any more, `.refused` when it was undone
  /// already; otherwise as `run`.
  package func undo(_ request: MergeUndoRequest, in engine: Engine) async throws -> MergeReport {
    let now = clock()
    if let known = try await known(request.idempotency, in: engine) {
      return try await told(known, source: nil, in: engine)
    }
    try await keepReplaced(request.merge, in: engine)
    let result = Lock<MergeReport?>(nil)
    let body = { @Sendable (live: Connection) throws -> [UInt8] in
      let report = try Self.translating { try Self.undo(request, at: now, live) }
      result.with { $0 = report }
      return MergeJournal.bytes(request.merge)
    }
    do {
      let answer = try await engine.write(
        account,
        idempotency: request.dryRun ? nil : request.idempotency.map { Idempotency(key: $0.key, requestHash: $0.hash) },
        body)
      guard !answer.replayed, let report = result.with({ $0 }) else {
        return try await told(answer.value, source: nil, in: engine)
      }
      return report
    } catch let rolledBack as RolledBack {
      return rolledBack.report
    } catch let error as StoreError where error.code == .tooLarge {
      throw Self.tooLarge
    }
  }

  private static func undo(
    _ request: MergeUndoRequest, at now: UnixMicroseconds, _ live: Connection
  ) throws -> MergeReport {
    let journal = MergeJournal(reading: live, request.merge)
    guard let record = try journal.record() else { throw unknown }
    guard record.undoneAt == nil else {
      throw BackupError(.refused, "the merge was undone already, at \(RFC3339.text(record.undoneAt ?? 0))")
    }
    let checks = MergeChecks(connection: live)
    let side = DiffReport.Side(name: "live", position: .start, createdAt: record.at)
    var undo = MergeUndo(
      live, policy: request.policy, checks: checks, at: now,
      report: MergeReport(merge: request.merge, source: side, listed: request.listed), tick: {})
    try checks.run {
      try undo.run(journal)
      try undo.report.note(dangling: checks.danglingRows(near: undo.report.tables.map(\.name)))
    }
    let report = undo.report
    guard report.violations == 0, request.policy != .refuse || report.conflictCount == 0 else {
      throw MergeRefused(report: report)
    }
    if request.dryRun { throw RolledBack(report: report) }
    try journal.markUndone(at: now)
    return report
  }

  private static let unknown = BackupError(
    .notFound, "no merge of that name can be undone: it was never finished, or its time to be undone has passed")

  /// Bytes of recordings that the merge replaced have to be here still.
  private func keepReplaced(_ merge: MergeID, in engine: Engine) async throws {
    let account = account
    let ids = try await engine.read(account) { live in
      guard try MergeJournal.isThere(live) else { return [RecordingID]() }
      var ids: [RecordingID] = []
      try MergeJournal(reading: live, merge).forEachBackwards { entry in
        guard entry.kind == .recording, let before = entry.before else { return }
        ids.append(try MergeRecordingRows.row(before).id)
      }
      return ids
    }.value
    guard !ids.isEmpty else { return }
    let missing = try await BackupWork.perform { try engine.keepRecordings(account, ids) }
    guard missing.isEmpty else {
      throw BackupError(
        .refused,
        "\(missing.count) recordings that the merge replaced are not here any more: the merge cannot be undone")
    }
  }

  // MARK: both

  /// The merge that an earlier request with the same key made.
  private func known(_ idempotency: (key: String, hash: [UInt8])?, in engine: Engine) async throws -> [UInt8]? {
    guard let idempotency else { return nil }
    do {
      return try await engine.write(
        account, idempotency: Idempotency(key: idempotency.key, requestHash: idempotency.hash)
      ) { _ in throw NotKnown() }.value
    } catch is NotKnown { return nil }
  }

  /// What was told of a merge that is there already.
  private func told(_ merge: [UInt8], source: DiffReport.Side?, in engine: Engine) async throws -> MergeReport {
    guard merge.count == 16 else { throw Self.unknown }
    let id = merge.reduce(MergeID(0)) { $0 << 8 | MergeID($1) }
    let record = try await engine.read(account) { try MergeJournal(reading: $0, id).record() }.value
    var report = MergeReport(
      merge: id, source: source ?? DiffReport.Side(name: "", position: .start, createdAt: nil), listed: 0)
    report.isReplayed = true
    report.take(counted: record?.counts ?? [])
    return report
  }

  /// Forgets how to undo what was merged longer than `keep` ago.
  private func expire(_ keep: Duration, in engine: Engine) async throws {
    let before = clock() - keep.components.seconds * 1_000_000
    while try await engine.read(
      account,
      { live in
        guard try MergeJournal.isThere(live) else { return false }
        return try !live.query("SELECT 1 FROM main.komora_merges WHERE at_us < ? LIMIT 1", .integer(before)).isEmpty
      }
    ).value {
      _ = try await engine.write(account) { try MergeJournal.expireOne($0, before: before) }
    }
  }
}
