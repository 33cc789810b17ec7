// Where an engine keeps what, and how much of it; every period and size of the running store.

package import Base
import Glibc

package struct EngineConfiguration: Sendable {
  /// Accounts' directories, each named by its id.
  package var accountsDirectory: String
  /// The node's commit log.
  package var logDirectory: String
  /// Sealed temporary files; emptied at start.
  package var temporaryDirectory: String
  package var node: NodeID

  package var logFileBytes = Limits.logFileBytesDefault
  /// Files that the log may have at most; writes wait when all hold records that are not in segments yet.
  package var logFilesMax = 6
  package var directLog = true
  /// Bytes of records after which a group of the log takes no more, so that no file is left much too early.
  package var logGroupBytes = 4 << 20
  /// How long a group may wait for records of turns that wait for a writer's thread.
  package var logGatherTime = Duration.microseconds(200)
  /// Pages in one record; a transaction with more continues in further records. At most `Limits.recordPagesMax`.
  package var recordPages = Limits.recordPagesMax
  package var segmentBytes = Limits.segmentBytesDefault
  package var volumeBytes = Limits.volumeBytesDefault

  /// Requests that one transaction of the writer takes together.
  package var batchMax = 64
  /// Batches whose records wait for their sync, per account.
  package var pendingBatchesMax = 4
  /// The same where they wait for other nodes: a distance is no reason to stand still.
  package var pendingBatchesReplicatedMax = 64
  /// The accounts have voters on other nodes: they open as standbys, and take writes only while this node leads them.
  package var isReplicated = false
  /// Versions after which a checkpoint begins.
  package var checkpointVersions = 2_000
  /// Pages that a checkpoint writes between two pauses, and the pause.
  package var checkpointBatchPages = 64
  package var checkpointPause = Duration.milliseconds(1)

  package var openShardsMax = 2_000
  package var idleClose = Duration.seconds(60)
  package var maintenancePeriod = Duration.milliseconds(50)
  package var writerThreads = 4
  package var readerThreads = 4
  package var temporaryBytesPerShard: UInt64 = 1 << 30
  package var transactionPagesMax = Limits.transactionPagesMax
  package var idempotencyKeep = Duration.seconds(86_400)
  package var sessionLockWait = Duration.seconds(5)
  package var sessionLockHold = Duration.seconds(30)

  /// What tests plant to convict their checkers; empty in every release.
  package var plantedBugs: PlantedBugs = []

  package init(accountsDirectory: String, logDirectory: String, temporaryDirectory: String, node: NodeID) {
    self.accountsDirectory = accountsDirectory
    self.logDirectory = logDirectory
    self.temporaryDirectory = temporaryDirectory
    self.node = node
  }

  /// The usual three directories below one.
  package init(directory: String, node: NodeID) {
    self.init(
      accountsDirectory: directory + "/accounts", logDirectory: directory + "/log",
      temporaryDirectory: directory + "/tmp", node: node)
  }
}

/// Errors that a test plants in the engine, to see that its checkers find them.
package struct PlantedBugs: OptionSet, Sendable {
  package let rawValue: Int
  package init(rawValue: Int) { self.rawValue = rawValue }
  package static let acknowledgeBeforeSync = PlantedBugs(rawValue: 1)
  package static let publishBeforeInstall = PlantedBugs(rawValue: 2)
  package static let markNotAwaited = PlantedBugs(rawValue: 4)
  package static let differenceAfterMark = PlantedBugs(rawValue: 8)
  package static let indexUsedTwice = PlantedBugs(rawValue: 16)
  package static let recycledBlockTaken = PlantedBugs(rawValue: 32)
  package static let logCutBeforeSegmentSync = PlantedBugs(rawValue: 64)
  package static let connectionKeptAfterDrop = PlantedBugs(rawValue: 128)
  /// Not one of the eight: stores everything unsealed, so that the search for a canary is seen to find it.
  package static let sealingOff = PlantedBugs(rawValue: 256)
  /// A replica does not keep how far its log was when its tail was cut.
  package static let forgetReached = PlantedBugs(rawValue: 512)
}

/// The two clocks of a store.
package protocol StoreClock: Sendable {
  /// Microseconds since 1970.
  func unixMicroseconds() -> UnixMicroseconds
  /// Nanoseconds that only grow.
  func monotonicNanoseconds() -> UInt64
}

package struct SystemClock: StoreClock {
  package init() {}

  package func unixMicroseconds() -> UnixMicroseconds {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000
  }

  package func monotonicNanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
  }
}

extension Duration {
  var nanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    return UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
  }
}
