// Whether whoever wanted a long piece of work still does; said once, asked between the work's pieces from its own threads.

import Threads

package final class CancelFlag: Sendable {
  private enum State {
    case wanted, cancelled
    /// The process ends: what was done so far is kept for the next one, where work can go on.
    case stopped
  }
  private let state = Lock(State.wanted)

  package init() {}

  package var isSet: Bool { state.with { $0 != .wanted } }
  package var keepsWork: Bool { state.with { $0 == .stopped } }

  package func set() { state.with { $0 = .cancelled } }
  package func stop() { state.with { if $0 == .wanted { $0 = .stopped } } }

  /// `.cancelled` once somebody has said so.
  package func check() throws(BackupError) {
    guard isSet else { return }
    throw BackupError(.cancelled, "the work was stopped before its end: start it again")
  }
}
