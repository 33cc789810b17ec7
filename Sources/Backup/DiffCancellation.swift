// Whether whoever wanted a comparison still does; asked from the thread that compares.

import Threads

package final class DiffCancellation: Sendable {
  private let isCancelled = Lock(false)

  package init() {}

  package func cancel() { isCancelled.with { $0 = true } }

  func check() throws(BackupError) {
    guard !isCancelled.with({ $0 }) else { throw BackupError(.failed, "the comparison was stopped: start it again") }
  }
}
