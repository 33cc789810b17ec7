// What the node asks of archives that grow old.

package import Backup
package import Base

package protocol ArchiveUpkeep: Sendable {
  /// One round over the account's archive on this node: joins small runs of its log, and lets go of what only moments
  /// before `border` need, once what stays is proven. Nothing where there is no archive.
  func upkeep(_ account: AccountID, border: UnixMicroseconds, now: UnixMicroseconds) async throws -> UpkeepReport
}
