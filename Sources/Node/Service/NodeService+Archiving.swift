// The loop that archives the log of every account that has new records and that this node leads, or led when its archive's
// log began: a standby has the same published records, and goes on, so that its archive has no gap when it leads again.
//
// An idle account costs a look at two numbers. What an account that is closed wrote before this node started is archived
// when somebody opens it: with its next request, or its next snapshot.

import Backup
import Base
import Logging
import ShardStore
import Threads

/// What the loop keeps: its task, and up to which index each account was archived or tried.
final class LogArchiving: Sendable {
  struct State {
    var task: Task<Void, Never>?
    var seen: [AccountID: LogIndex] = [:]
    /// Accounts whose last round failed: their failure is logged once.
    var failing: Set<AccountID> = []
  }
  let state = Lock(State())
}

extension NodeService {
  /// Accounts that are archived side by side.
  private static let archivedTogether = 4

  func startArchiving() {
    let period = configuration.timers.archiveLogPeriod
    let task = Task {
      while !Task.isCancelled {
        try? await Task.sleep(for: period)
        if !Task.isCancelled { await self.archiveLogs() }
      }
    }
    archiving.state.with { $0.task = task }
  }

  func stopArchiving() async {
    let task = archiving.state.with { s in
      defer { s.task = nil }
      return s.task
    }
    task?.cancel()
    await task?.value
  }

  /// One round over all accounts. Gives how many had something new.
  @discardableResult
  package func archiveLogs() async -> Int {
    var due: [AccountID] = []
    for account in accounts() where account.isActive && hasNewRecords(account.id) {
      let isOurs = if leads(account) { true } else { (try? await backups.hasLog(account.id)) ?? false }
      if isOurs { due.append(account.id) }
    }
    await withTaskGroup(of: Void.self) { group in
      var waiting = due[...]
      for id in waiting.prefix(Self.archivedTogether) { group.addTask { await self.archiveLog(id) } }
      waiting = waiting.dropFirst(Self.archivedTogether)
      while await group.next() != nil {
        if Task.isCancelled { return }
        if let id = waiting.popFirst() { group.addTask { await self.archiveLog(id) } }
      }
    }
    return due.count
  }

  private func hasNewRecords(_ id: AccountID) -> Bool {
    guard let published = engine.publishedIfKnown(id) else { return false }
    return published > archiving.state.with { $0.seen[id] ?? 0 }
  }

  private func archiveLog(_ id: AccountID) async {
    // Read before: what is published meanwhile is looked at in the next round.
    let published = engine.publishedIfKnown(id) ?? 0
    do {
      let end = try await backups.archiveLog(id)
      archiving.state.with { s in
        s.seen[id] = max(end ?? 0, published)
        s.failing.remove(id)
      }
      metrics.counter("komora_log_archives_total", [("outcome", "done")]).increment()
    } catch {
      metrics.counter("komora_log_archives_total", [("outcome", "failed")]).increment()
      let isNews = archiving.state.with { $0.failing.insert(id).inserted }
      guard isNews, !Task.isCancelled else { return }
      Logger(label: "archive").error(
        "the log of an account cannot be archived; tried again in a moment",
        metadata: ["account": "\(id)", "reason": "\(NodeError(describing: error).message)"])
    }
  }
}
