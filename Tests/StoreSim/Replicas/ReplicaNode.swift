// One node of a replicated account: an engine without threads on a forgetful disk, and what it has told about its log.

import Base
import Disk
import Formats
import ShardStore
import Simulator

final class ReplicaNode: ReplicaSink, @unchecked Sendable {
  // Invariant: one thread drives the world and everything that it calls.
  typealias Job = @Sendable () -> Void

  enum Note {
    case appended([SealedRecord])
    case synced(Position)
    case failed(Position)
  }

  let number: Int
  var disk: ForgetfulDisk
  var engine: Engine?
  var jobs: [Job] = []
  /// Told under the account's lock, taken by the world later.
  var notes: [Note] = []
  /// The node's whole log by its own word, from the first index on.
  var log: [Position] = []
  /// The greatest index that it called durable, and never may lose.
  var durable: LogIndex = 0
  /// The greatest place that its disk ever had, by its own word: it may be cut below, and must never forget it.
  var reached = LogPlace.start
  /// What it was told to publish.
  var told: LogIndex = 0
  /// Its log agrees with the leader's up to here.
  var matched: LogIndex = 0
  /// Operations of its disk until the machine stops; nil for never.
  var stopAfter: Int?
  /// What became of the last attempt to lead.
  var outcome: StoreError??

  init(_ number: Int, disk: ForgetfulDisk) {
    self.number = number
    self.disk = disk
  }

  var isUp: Bool { engine != nil && !disk.isDead }
  var end: Position { log.last ?? .start }

  func appended(_ account: AccountID, _ records: [SealedRecord]) { notes.append(.appended(records)) }
  func synced(_ account: AccountID, _ position: Position) { notes.append(.synced(position)) }
  func failed(_ account: AccountID, end: Position) { notes.append(.failed(end)) }
}
