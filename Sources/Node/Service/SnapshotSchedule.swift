// When an account's nightly snapshot is due: once a day, in the account's own time zone, inside the node's window.
//
// Accounts are spread over the window by their ids, so that a node with many does not start all at once. What was
// missed while the node was down is due at once. Days are the account's; a window that the clocks skip begins where
// they land.

package import Base
import Foundation

package struct SnapshotSchedule: Sendable {
  /// Minutes after midnight.
  package var from: Int
  package var to: Int

  package init(from: Int, to: Int) {
    self.from = from
    self.to = to
  }

  /// The last moment up to `now` at which the account was due.
  package func lastDue(now: UnixMicroseconds, account: AccountID, timezone: String) -> UnixMicroseconds {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = TimeZone(identifier: timezone) ?? .gmt
    let date = Date(timeIntervalSince1970: Double(now) / 1_000_000)
    for daysBack in 0...2 {
      guard let day = calendar.date(byAdding: .day, value: -daysBack, to: date) else { continue }
      let due = moment(on: day, calendar, account)
      if due <= now { return due }
    }
    return now
  }

  /// True when neither a snapshot nor the account's creation lies behind the last due moment.
  package func isDue(
    now: UnixMicroseconds, account: AccountID, timezone: String, lastSnapshot: UnixMicroseconds?,
    createdAt: UnixMicroseconds
  ) -> Bool {
    max(lastSnapshot ?? .min, createdAt) < lastDue(now: now, account: account, timezone: timezone)
  }

  private func moment(on day: Date, _ calendar: Calendar, _ account: AccountID) -> UnixMicroseconds {
    let minute = from + Int(account.bits % UInt128(to - from))
    var parts = calendar.dateComponents([.year, .month, .day], from: day)
    (parts.hour, parts.minute) = (minute / 60, minute % 60)
    let date = calendar.date(from: parts) ?? day
    return UnixMicroseconds(date.timeIntervalSince1970) * 1_000_000
  }
}
