// What forwarding asks of the shards, from any thread and at once.

package import Base
package import Formats
import Replication
import UVLoop

extension ShardService: ShardRouting {
  /// A standby's word is asked for anew when it is older.
  private static var freshnessWanted: Interval { .milliseconds(100) }

  package nonisolated func route(_ id: AccountID) -> ShardRoute { table.route(id) }

  package nonisolated func waitForRoute(_ id: AccountID, until deadline: ContinuousClock.Instant) async -> ShardRoute {
    await waitForRoute(id, after: .nobody, until: deadline)
  }

  /// May what was read under `epoch` be shown? Asked after the read has pinned what it reads.
  package nonisolated func mayServe(_ id: AccountID, _ epoch: Epoch) -> Bool {
    table.mayServe(id, epoch, at: Self.now)
  }

  package nonisolated func hasReplica(_ id: AccountID) -> Bool {
    setup.engine.hasAccount(id) && table.hasReplica(id)
  }

  /// What is known now of what readers see. What is old is asked for anew, for whoever comes next: an idle primary says
  /// nothing by itself. For them an account that is closed is opened, too.
  package nonisolated func freshAsOf(_ id: AccountID) -> ContinuousClock.Instant? {
    let now = Self.now
    let published = setup.engine.publishedIfOpen(id)
    let freshness = published.flatMap { table.freshness(id, published: $0.index) }
    if freshness.map({ now - $0.asOf > Self.freshnessWanted }) ?? true, table.mayAskFreshness(id, at: now) {
      loop.submit { self.assumeIsolated { $0.refresh(id) } }
      let engine = setup.engine
      if published == nil { Task { _ = try? await engine.publishedPosition(id) } }
    }
    return freshness.map { .now - .nanoseconds((now - $0.asOf).nanoseconds) }
  }

  func refresh(_ id: AccountID) {
    guard let replica = replicas[id] else { return }
    step(replica, .refresh)
  }

  package nonisolated func waitUntilApplied(
    _ id: AccountID, _ place: LogPlace, until deadline: ContinuousClock.Instant
  ) async -> Bool {
    var pause = Duration.milliseconds(1)
    // A damaged replica gets no further: whoever leads is asked at once.
    while !Task.isCancelled, !table.isDamaged(id) {
      // A place that somebody was told of is committed: whoever has published that index has published it.
      if let position = try? await setup.engine.publishedPosition(id), position.index >= place.index { return true }
      guard ContinuousClock.now + pause < deadline else { return false }
      try? await Task.sleep(for: pause)
      pause = min(pause * 2, .milliseconds(20))
    }
    return false
  }
}
