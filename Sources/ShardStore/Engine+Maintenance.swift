// What happens in the background: checkpoints, splitting the log, closing what is idle.

package import Base
import Glibc
import SQLite
import Threads

extension Engine {
  /// One round. `isStopping` ends it early.
  func maintain(isStopping: () -> Bool) {
    if log.fullFiles > 0 { splitLog() }
    let shards = openShards
    for shard in shards { shard.state.with { $0.holder }?.endIfHeldForTooLong() }
    for shard in shards where shard.wantsCheckpoint || shard.isCheckpointing {
      checkpoint(shard.id, isStopping)
      if log.fullFiles > 0 { splitLog() }
    }
    closeIdleShards(shards, isStopping)
  }

  private func checkpoint(_ id: AccountID, _ isStopping: () -> Bool) {
    while !isStopping(), stepCheckpoint(id) { pause(configuration.checkpointPause) }
  }

  private func pause(_ duration: Duration) {
    guard duration > .zero else { return }
    usleep(UInt32(duration.nanoseconds / 1_000))
  }

  private func closeIdleShards(_ shards: [Shard], _ isStopping: () -> Bool) {
    let now = clock.monotonicNanoseconds()
    let idleAfter = configuration.idleClose.nanoseconds
    var surplus = shards.count - configuration.openShardsMax
    for shard in shards.sorted(by: { $0.lastUse < $1.lastUse }) {
      if isStopping() { return }
      guard shard.isIdle, surplus > 0 || now > shard.lastUse + idleAfter else { continue }
      surplus -= 1
      if shard.pages.hasUnflushed {
        shard.startCheckpoint()
        checkpoint(shard.id, isStopping)
      }
      _ = closeIdle(shard.id)
    }
  }

  /// How long an upload in parts may stay open, and a completed one known, in microseconds.
  private static let uploadKeep: Int64 = 7 * 86_400 * 1_000_000

  /// Frees the bytes of recordings that no row names: uploads whose row never came, and those deleted long ago.
  package func collectRecordings(_ id: AccountID, grace: Duration, keepDeleted: Duration) async throws
    -> (recordings: Int, bytes: UInt64)
  {
    let now = clock.unixMicroseconds()
    let oldest = now - Int64(keepDeleted.nanoseconds / 1_000)
    _ = try await write(id) { connection in
      try connection.execute("DELETE FROM main.komora_deleted WHERE deleted_us < ?", .integer(oldest))
      // Nobody pays for what a client began and forgot.
      try MultipartCatalog.expire(connection, before: now - Self.uploadKeep)
    }
    let shard = try await held(id)
    defer { shard.release() }
    // Which uploads are young is known only since the account was opened.
    guard clock.monotonicNanoseconds() >= shard.openedAt + grace.nanoseconds else { return (0, 0) }
    return try await shard.onReader { [clock] in
      // Read after the young ones are protected: a row that comes later belongs to one of them.
      let (live, _) = try shard.readNow { try RecordingCatalog.known($0) }
      return try shard.recordings.collect(
        live: live, now: clock.monotonicNanoseconds(), grace: grace.nanoseconds)
    }
  }
}
