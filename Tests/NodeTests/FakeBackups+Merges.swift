import Backup
import Base
import Node

extension FakeBackups {
  func merge(
    _ account: AccountID, _ request: MergeRequest, progress: @escaping @Sendable (Double, String) -> Void
  ) async throws -> MergeReport {
    throw NodeError(.io, "the fake merges nothing")
  }

  func planSelection(
    _ account: AccountID, _ point: MergePoint, _ selection: RowSelection
  ) async throws -> [String: String] { [:] }

  func restoreSelection(
    _ account: AccountID, _ point: MergePoint, _ selection: RowSelection, as target: AccountID,
    placed: @escaping @Sendable () async throws -> Void, progress: @escaping @Sendable (Double, String) -> Void
  ) async throws -> [String: String] {
    try await placed()
    return [:]
  }

  func undoMerge(_ account: AccountID, _ request: MergeUndoRequest) async throws -> MergeReport {
    throw NodeError(.io, "the fake merges nothing")
  }
}
