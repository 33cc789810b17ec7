// Backups that only note what was asked of them; their archive is always empty.

import Backup
import Base
import Disk
import Formats
import Node
import Threads

final class FakeBackups: AccountBackups {
  private struct State {
    var asked: [AccountID] = []
    var removed: [AccountID] = []
    var archived: [AccountID] = []
  }
  private let state = Lock(State())

  var asked: [AccountID] { state.with { $0.asked } }
  var archived: [AccountID] { state.with { $0.archived } }
  var removed: [AccountID] { state.with { $0.removed } }

  func snapshot(
    _ account: AccountID, _ kind: SnapshotKind, progress: @escaping Progress
  ) async throws -> SnapshotInfo {
    throw NodeError(.io, "the fake takes no snapshots")
  }

  func snapshots(of account: AccountID) async throws -> [SnapshotInfo] {
    state.with { $0.asked.append(account) }
    return []
  }

  func verify(_ account: AccountID, _ order: VerifyOrder, progress: @escaping Progress) async throws -> VerifyReport {
    VerifyReport(path: "nowhere")
  }

  func recording(_ account: AccountID, _ key: String, at point: SnapshotRecordings.Point) async throws
    -> SnapshotRecording
  {
    throw NodeError(.notFound, "the fake has no recordings")
  }

  func plan(_ account: AccountID, _ snapshot: SnapshotID) async throws -> [String: String] { [:] }

  func restore(
    _ account: AccountID, _ snapshot: SnapshotID, as target: AccountID,
    placed: @escaping @Sendable () async throws -> Void, progress: @escaping Progress
  ) async throws -> [String: String] {
    try await placed()
    return [:]
  }

  func diff(
    _ account: AccountID, _ request: DiffRequest, progress: @escaping Progress
  ) async throws -> DiffReport {
    throw NodeError(.io, "the fake compares nothing")
  }

  func archiveLog(_ account: AccountID) async throws -> LogIndex? {
    state.with { $0.archived.append(account) }
    return nil
  }

  func upkeep(_ account: AccountID, border: UnixMicroseconds, now: UnixMicroseconds) async throws -> UpkeepReport {
    UpkeepReport()
  }

  func restoreInPlace(
    _ account: AccountID, _ order: InPlaceOrder, progress: @escaping Progress
  ) async throws -> InPlaceReport {
    throw NodeError(.io, "the fake restores nothing")
  }

  func transactions(_ account: AccountID, after position: Position) async throws -> Int { 0 }

  func hasLog(_ account: AccountID) async throws -> Bool { false }

  func moments(of account: AccountID) async throws -> [MomentSpan] { [] }

  func plan(_ account: AccountID, at moment: UnixMicroseconds) async throws -> [String: String] { [:] }

  func restore(
    _ account: AccountID, at moment: UnixMicroseconds, as target: AccountID,
    placed: @escaping @Sendable () async throws -> Void, progress: @escaping Progress
  ) async throws -> [String: String] {
    try await placed()
    return [:]
  }

  func removeArchive(of account: AccountID) async throws { state.with { $0.removed.append(account) } }

  func export(
    _ account: AccountID, _ order: ExportOrder, isRunning: @escaping @Sendable (ExportID) -> Bool
  ) async throws -> ExportInfo {
    throw NodeError(.io, "the fake makes no exports")
  }

  func exports(of account: AccountID) async throws -> [ExportInfo] { [] }

  func openExport(_ account: AccountID, _ info: ExportInfo) async throws -> ExportFile {
    throw NodeError(.notFound, "the fake has no exports")
  }

  func removeExport(_ account: AccountID, _ id: ExportID) async throws -> Bool { false }
}
