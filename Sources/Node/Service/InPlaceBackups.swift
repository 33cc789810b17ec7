// What the node asks of restores in place.

package import Backup
package import Base
package import ShardStore

/// A restore of an account to an earlier state of its own.
package struct InPlaceOrder: Sendable {
  package var state: ArchivedState
  /// Names it, 16 bytes; an undo is asked for by this.
  package var id: [UInt8]
  /// The restore that it undoes.
  package var undoes: [UInt8]?
  /// The same request is done once.
  package var request: Idempotency?
  package var dryRun = false

  package init(_ state: ArchivedState, id: [UInt8]) {
    self.state = state
    self.id = id
  }
}

package protocol InPlaceBackups: Sendable {
  /// Makes the account, which this node leads, what it was.
  func restoreInPlace(
    _ account: AccountID, _ order: InPlaceOrder, progress: @escaping @Sendable (Double, String) -> Void
  ) async throws -> InPlaceReport
  /// Transactions behind `position`, as far as the log is archived.
  func transactions(_ account: AccountID, after position: Position) async throws -> Int
}
