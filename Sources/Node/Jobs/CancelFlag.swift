// Says once that work on a thread of its own is to end; looked at between its pieces.

import Threads

package final class CancelFlag: Sendable {
  private let state = Lock(false)

  package init() {}

  package var isSet: Bool { state.with { $0 } }
  package func set() { state.with { $0 = true } }
}
