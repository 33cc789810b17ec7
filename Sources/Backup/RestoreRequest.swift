// Which snapshot is to become which account, and what opens its archive.

package import AtRest
package import Base

package struct RestoreRequest: Sendable {
  package var snapshot: SnapshotID
  /// Must not exist in the engine.
  package var account: AccountID
  package var unlock: KeyringUnlock
  /// Hears fractions from 0 to 1.
  package var progress: @Sendable (Double) -> Void
  package var control = RestoreControl()

  package init(
    snapshot: SnapshotID, as account: AccountID, unlockedBy unlock: KeyringUnlock,
    progress: @escaping @Sendable (Double) -> Void = { _ in }
  ) {
    self.snapshot = snapshot
    self.account = account
    self.unlock = unlock
    self.progress = progress
  }
}
