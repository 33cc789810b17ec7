import Backup
import Base
import Node

extension FakeBackups {
  func merge(
    _ account: AccountID, _ request: MergeRequest, progress: @escaping @Sendable (Double, String) -> Void
  ) async throws -> MergeReport {
    throw NodeError(.io, "the fake merges nothing")
  }

  func undoMerge(_ account: AccountID, _ request: MergeUndoRequest) async throws -> MergeReport {
    throw NodeError(.io, "the fake merges nothing")
  }
}
