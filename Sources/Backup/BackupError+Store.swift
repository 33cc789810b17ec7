// Failures of the store, in this module's words.

import AtRest
import Disk
package import ShardStore

extension BackupError {
  package init(_ error: StoreError) {
    let code: Code =
      switch error.code {
      case .notFound: .notFound
      case .exists: .exists
      case .damaged: .damaged
      case .wrongKey: .wrongKey
      case .refused: .refused
      case .diskFull, .quota: .diskFull
      case .io: .io
      default: .failed
      }
    self.init(code, error.message)
  }

  /// Any error that came through code which throws several kinds.
  package init(anyOf error: any Error) {
    switch error {
    case let error as BackupError: self = error
    case let error as StoreError: self.init(error)
    case let error as DiskError: self.init(error)
    case let error as AtRestError: self.init(error, path: nil)
    default: self.init(.failed, "\(error)")
    }
  }
}
