// Restores into an engine that go on after a kill: which restore a builder's progress belongs to, and what is left to do.
//
// A binding is a hash over everything that decides what comes out, so that progress of another snapshot, moment, archive or
// target is never taken for this one's. What an earlier run left and does not hold is thrown away, once, and the restore
// begins anew.

import AtRest
import Base
import Disk
import Formats
import OpenSSL
import ShardStore

struct ResumableRestore: Sendable {
  let disk: any Disk
  let layout: ArchiveLayout
  let engine: Engine
  let opener: ArchivedAccountKeys

  /// `target` is an account, or zeros for files.
  static func binding(_ reader: SnapshotReader, end: Position, target: AccountID) -> [UInt8] {
    let header = reader.manifest.header
    var w = ByteWriter()
    w.put(raw: "komora restore v1".utf8)
    w.put(header.account)
    w.put(raw: header.publicKey)
    w.put(target)
    w.put(header.snapshot)
    w.put(raw: reader.manifest.signature)
    w.put(end.epoch)
    w.put(end.index)
    w.put(end.checksum)
    return SHA256.hash(w.bytes)
  }

  func build(_ request: RestoreRequest) throws -> RestoreReport {
    let path = try ManifestStore(disk: disk, layout: layout).path(of: request.snapshot)
    let reader = try SnapshotReader.open(path: path, disk: disk, layout: layout, opener)
    let restore = Restore(reader, request.control)
    let header = reader.manifest.header
    let order = RestoreOrder(
      account: request.account, base: header.position, pageCount: header.databasePages,
      recordingName: opener.recordingName,
      binding: Self.binding(reader, end: header.position, target: request.account), note: request.control.note)
    var report = RestoreReport(plan: restore.plan, account: request.account, erased: restore.erased)
    (report.isResumed, report.carried) = try attempt(order, request.control) { target in
      let restore = Restore(reader, request.control)
      try restore.run(into: target, progress: request.progress)
      return restore.carried
    }
    report.chunksRead = reader.index.reads
    return report
  }

  func build(_ request: MomentRequest) throws -> RestoreReport {
    // What an earlier run has begun was verified by it.
    var reader = try MomentReader.open(at: request.moment, disk: disk, layout: layout, opener)
    if !isBegun(request.account, order(request, reader).binding) {
      reader = try MomentReader.open(at: request.moment, disk: disk, layout: layout, opener, verifying: true)
    }
    reader.replay.skipped = request.skipped
    var report = RestoreReport(plan: reader.restorePlan, account: request.account, erased: [])
    (report.isResumed, report.carried) = try attempt(order(request, reader), request.control) { target in
      let result = try MomentRestore(reader: reader, control: request.control).run(
        into: target, progress: request.progress)
      (report.plan, report.erased) = (result.plan, result.erased)
      return result.carried
    }
    report.chunksRead = reader.snapshot.index.reads
    return report
  }

  private func order(_ request: MomentRequest, _ reader: MomentReader) -> RestoreOrder {
    RestoreOrder(
      account: request.account, base: reader.plan.end, pageCount: reader.plan.databasePages,
      recordingName: opener.recordingName,
      binding: Self.binding(reader.snapshot, end: reader.plan.end, target: request.account), note: request.control.note)
  }

  private func isBegun(_ account: AccountID, _ binding: [UInt8]) -> Bool {
    engine.unfinishedRestore(of: account)?.binding == binding
  }

  /// Whether an earlier run's work was gone on with, or had nothing left but the account's last steps; and what `run` gave.
  private func attempt(_ order: RestoreOrder, _ control: RestoreControl, _ run: (RestoreBuilder) throws -> Int) throws
    -> (isResumed: Bool, carried: Int)
  {
    if engine.hasAccount(order.account), isBegun(order.account, order.binding) { return (true, 0) }
    var (isFresh, isDoubted) = (false, control.doubt.isSet)
    while true {
      let target: RestoreBuilder
      do { target = try engine.beginRestore(order) } catch { throw BackupError(anyOf: error) }
      do {
        let carried = try run(target)
        return (target.resumed != nil, carried)
      } catch let error as BackupError where error.code == .damaged {
        // What the earlier run left may be what is damaged, or a proof may have vouched for it; nothing of it is there any
        // more. Each is a reason once.
        let (isNowFresh, isNowDoubted) = (isFresh || target.resumed != nil, control.doubt.isSet)
        guard isNowFresh != isFresh || isNowDoubted != isDoubted else { throw error }
        (isFresh, isDoubted) = (isNowFresh, isNowDoubted)
      }
    }
  }
}

extension AccountArchive {
  /// What follows when the account has its place, as often as it takes: its owner, then the rows of what was erased.
  func finish(
    _ built: RestoreReport, in engine: Engine, _ keys: ArchivedAccountKeys, isMoment: Bool,
    _ placed: @Sendable () async throws -> Void
  ) async throws -> RestoreReport {
    var report = built
    do {
      try await placed()
      if isMoment, built.isResumed {
        // A run that was over knows the recordings only from the rows.
        let rows = try await engine.read(report.account) { try RecordingRows.all(in: $0) }.value
        let erased = report.plan.take(
          rows.map { .init(id: $0.id, bytes: $0.bytes, chunks: $0.chunks, root: $0.root) }, keys)
        report.erased = Array(Set(report.erased).union(erased)).sorted()
      }
    } catch { throw BackupError(anyOf: error) }
    if !report.erased.isEmpty { try await removeErased(report, in: engine) }
    let account = report.account
    try await BackupWork.perform {
      do { try engine.endRestore(of: account) } catch { throw BackupError(anyOf: error) }
    }
    return report
  }
}
