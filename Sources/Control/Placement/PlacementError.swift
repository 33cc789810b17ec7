// Why an account cannot be placed or moved, and what to do about it.

package struct PlacementError: Error, Equatable, CustomStringConvertible {
  package enum Code: Sendable, Equatable {
    /// The rules contradict themselves.
    case rules
    /// Not enough nodes may hold the account.
    case tooFewNodes
    /// Not enough regions for the goal `region`.
    case tooFewRegions
    /// The voters that answer make no write set.
    case noWriteSet
  }

  package var code: Code
  package var message: String

  package init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  package var description: String { message }
}
