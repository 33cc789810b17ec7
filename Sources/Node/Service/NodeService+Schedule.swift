// The loop of the nightly snapshots, and the end of accounts: deletions that were broken off, archives that have expired.

import Backup
import Base
import Formats
import Threads

extension NodeService {
  /// Starts looking for due snapshots; `close` ends it.
  func startSchedule() {
    let interval = configuration.timers.schedulerInterval
    let task = Task {
      while !Task.isCancelled {
        await self.runDue()
        try? await Task.sleep(for: interval)
      }
    }
    scheduler.with { $0 = task }
  }

  /// A failed or missed snapshot is tried again after this time.
  static let retryMicroseconds: Int64 = 15 * 60 * 1_000_000

  private static let othersMicroseconds: Int64 = 86_400 * 1_000_000

  /// Finishes deletions, starts a snapshot for each account that is due now, and drops what the retention has let go.
  @discardableResult
  package func runDue() async -> [JobID] {
    await finishDeletions()
    let now = clock.now
    var started: [JobID] = []
    for account in accounts() where account.isActive && leads(account) {
      guard isDue(account, now) else { continue }
      let attempt = control.view.with { $0.lastAttempt[account.id] }
      guard now - (attempt ?? .min / 2) >= Self.retryMicroseconds else { continue }
      // The archive is read only here: once a day for an account whose snapshots succeed, and after a restart.
      let newest = (try? await backups.snapshots(of: account.id))?.last?.createdAt
      control.view.with { directory in
        directory.lastAttempt[account.id] = now
        directory.lastSnapshot[account.id] = newest
      }
      if isDue(account, now), let id = try? startSnapshot(account, .daily) { started.append(id) }
    }
    if let time = await retentionTime() { await expireArchives(time) }
    return started
  }

  private func isDue(_ account: AccountRecord, _ now: UnixMicroseconds) -> Bool {
    SnapshotSchedule(from: configuration.timers.snapshotFrom, to: configuration.timers.snapshotTo).isDue(
      now: now, account: account.id, timezone: account.timezone,
      lastSnapshot: control.view.with { $0.lastSnapshot[account.id] }, createdAt: account.createdAt)
  }

  private func expireArchives(_ now: UnixMicroseconds) async {
    let oldest = now - configuration.timers.retention.wholeMicroseconds
    let gone = control.view.with { $0.accounts.values.map(\.record) }
      .filter { $0.state == .deleted && ($0.deletedAt ?? now) < oldest }
    for account in gone {
      do {
        // Each node has the snapshots that it took itself. Who forgets the account leaves the others time for theirs.
        try await backups.removeArchive(of: account.id)
        let isLast = cluster == nil || (account.deletedAt ?? now) < oldest - Self.othersMicroseconds
        if isHere(account), isLast { try await forget(account.id) }
      } catch {
        metrics.counter("komora_archive_expiry_failures_total").increment()
      }
    }
  }
}
