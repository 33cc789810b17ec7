// What is to be restored, and under which name.

package import Backup
package import Base

package struct RestoreRequest: Sendable, Equatable {
  /// Name of the account whose archive is read.
  package var account: String
  /// Nil: the newest one.
  package var snapshot: SnapshotID?
  /// The account as it was then, instead of a snapshot.
  package var moment: UnixMicroseconds?
  /// Name of the account that is made; it must not exist.
  package var target: String
  /// Only say what would be done.
  package var dryRun: Bool
  /// Chosen rows and recordings alone; nil for everything.
  package var only: RowSelection?

  package init(
    account: String, snapshot: SnapshotID? = nil, moment: UnixMicroseconds? = nil, target: String, dryRun: Bool = false,
    only: RowSelection? = nil
  ) {
    self.account = account
    self.moment = moment
    self.snapshot = snapshot
    self.target = target
    self.dryRun = dryRun
    self.only = only
  }
}
