// The loop that keeps archives at their window: one account after the other, each node those that lie on it.

package import Backup
package import Base
import Control
import Logging
import Threads

/// What the loop keeps between its rounds.
final class ArchiveKeeping: Sendable {
  struct State {
    var task: Task<Void, Never>?
    /// Accounts whose last round failed: their failure is logged once.
    var failing: Set<AccountID> = []
    /// The time of retention is not known; said once.
    var isTimeless = false
  }
  let state = Lock(State())
}

extension NodeService {
  func startUpkeep() {
    let period = configuration.timers.archiveUpkeepPeriod
    let task = Task {
      while !Task.isCancelled {
        try? await Task.sleep(for: period)
        if !Task.isCancelled { await self.keepArchives() }
      }
    }
    upkeep.state.with { $0.task = task }
  }

  func stopUpkeep() async {
    let task = upkeep.state.with { s in
      defer { s.task = nil }
      return s.task
    }
    task?.cancel()
    await task?.value
  }

  /// The time that retention goes by; nil when it is not known, and then nothing is let go. Never ahead of the clock: the
  /// committed time keeps what a clock that was wrong at the very beginning had said.
  func retentionTime() async -> UnixMicroseconds? {
    do {
      if let cluster { return cluster.committedTime.map { min($0, clock.now) } }
      let retention = retention
      return min(try await blocking { try retention.now() }, clock.now)
    } catch {
      let isNews = upkeep.state.with { s in
        defer { s.isTimeless = true }
        return !s.isTimeless
      }
      if isNews {
        Logger(label: "archive").error(
          "nothing expires", metadata: ["reason": "\(NodeError(describing: error).message)"])
      }
      return nil
    }
  }

  /// One round over all archives of this node. Gives what was done, by account.
  @discardableResult
  package func keepArchives() async -> [AccountID: UpkeepReport] {
    guard let time = await retentionTime() else { return [:] }
    let border = time - configuration.timers.retention.wholeMicroseconds
    var reports: [AccountID: UpkeepReport] = [:]
    for account in control.view.with({ $0.accounts.values.map(\.record.id) }) {
      if Task.isCancelled { break }
      if let report = await keepArchive(account, border) { reports[account] = report }
    }
    return reports
  }

  private func keepArchive(_ account: AccountID, _ border: UnixMicroseconds) async -> UpkeepReport? {
    do {
      let report = try await backups.upkeep(account, border: border, now: clock.now)
      metrics.counter("komora_archive_expired_snapshots_total").increment(by: report.expiredSnapshots)
      metrics.counter("komora_archive_freed_bytes_total").increment(by: Int(clamping: report.freedBytes))
      metrics.counter("komora_archive_joined_runs_total").increment(by: report.joinedRuns)
      upkeep.state.with { _ = $0.failing.remove(account) }
      if report.expiredSnapshots > 0 { noteLetGo(account, border) }
      return report
    } catch {
      metrics.counter("komora_archive_upkeep_failures_total").increment()
      let isNews = upkeep.state.with { $0.failing.insert(account).inserted }
      guard isNews, !Task.isCancelled else { return nil }
      Logger(label: "archive").error(
        "an archive is not tidied up; nothing of it was let go",
        metadata: ["account": "\(account)", "reason": "\(NodeError(describing: error).message)"])
      return nil
    }
  }
}
