// Threads for calls that block on disks, away from the cooperative pool; and the words for what goes wrong there.

import AtRest
import Backup
import ControlStores
import Disk
import ShardStore
import Threads

/// Enough for a few slow disks; what comes beyond waits its turn.
private let blockingPool = WorkPool(name: "node", threads: 4)

/// Runs `body` on a thread that may block.
func blocking<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
  try await blockingPool.perform(body)
}

/// Runs `body` to its end even when the task that waits for it is cancelled: for putting right what that task began.
func regardless<T: Sendable>(_ body: @escaping @Sendable () async -> T) async -> T { await Task { await body() }.value }

extension NodeError {
  /// What any layer below reported, as the node says it.
  init(describing error: any Error) {
    switch error {
    case let error as NodeError: self = error
    case let error as ControlStoreError: self.init(error)
    case let error as StoreError: self.init(Self.code(error.code), error.message)
    case let error as BackupError: self.init(Self.code(error.code), error.description)
    case let error as AtRestError: self.init(error.code == .wrongKey ? .refused : .io, error.description)
    case let error as DiskError: self.init(error.code == .notFound ? .notFound : .io, error.description)
    case is CancellationError: self.init(.unavailable, "the node is stopping: try again in a moment")
    default: self.init(.io, "\(error)")
    }
  }

  private static func code(_ code: StoreError.Code) -> Code {
    switch code {
    case .notFound: .notFound
    case .exists: .exists
    case .moved: .elsewhere
    case .busy, .snapshotTooOld, .notApplied, .unknown, .closed, .diskFull: .unavailable
    case .quota, .refused, .wrongKey: .refused
    case .tooLarge: .invalid
    case .io, .damaged: .io
    }
  }

  private static func code(_ code: BackupError.Code) -> Code {
    switch code {
    case .notFound: .notFound
    case .exists: .exists
    case .wrongKey, .refused: .refused
    case .diskFull, .cancelled: .unavailable
    case .damaged, .io, .failed: .io
    }
  }
}
