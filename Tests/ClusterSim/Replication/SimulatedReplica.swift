// One shard on one node: what its disk has, and while the process runs the machine, what readers see, and the writer.

import Base
import Formats
import Replication

final class SimulatedReplica {
  /// A transaction whose records are made one after the other.
  struct Group {
    let id: UInt64
    var recordings: [RecordingID]
    var partsLeft: Int
  }

  /// This node is primary.
  struct Lead {
    let epoch: Epoch
    var takesWrites = false
    /// With everything that was made; nil before the epoch's first record.
    var head: PageState?
    var group: Group?
    /// Clients that wait, by the index of their transaction's last record.
    var waiting: [(position: Position, id: UInt64)] = []
  }

  /// A copy of what a primary has: published pages, and all records behind them.
  struct Base {
    let state: PageState
    let tail: [SealedRecord]
    let recordings: Set<RecordingID>
    let source: Int
    let epoch: Epoch
    /// A page of the source is older than it should be; whoever takes the base has it as well.
    let isStale: Bool

    var end: Position { tail.last?.position ?? state.position }
  }

  // On the disk.
  var log = ShardLog()
  var main = PageState()
  var mainBefore = PageState()
  var recordings: Set<RecordingID> = []
  /// A page of the main state was not written, and nobody has noticed.
  var isStale = false

  // In the process.
  var driver: ReplicationDriver?
  var state = PageState()
  var lead: Lead?
  var timer: UInt64 = 0
  var isTimerDue = false

  func stopProcess() {
    driver = nil
    lead = nil
    isTimerDue = false
  }

  func empty() {
    log.empty()
    main = PageState()
    mainBefore = PageState()
    recordings = []
    isStale = false
  }
}

/// Collects what a step wants done; the world does it in order.
struct ReplicaPort: ReplicationPort {
  let shard: Int
  /// Does the lease hold?
  let vouches: Bool
  var outputs: [OwnerOutput] = []

  mutating func send(_ message: [UInt8], to node: NodeID) { outputs.append(.replica(shard, .send(message, node))) }
  mutating func mayVouch(_ account: AccountID, _ epoch: Epoch) -> Bool { vouches }
  mutating func perform(_ effect: ReplicationEffect, _ account: AccountID) {
    outputs.append(.replica(shard, .effect(effect)))
  }
  mutating func setTimer(_ instant: Instant, _ account: AccountID) { outputs.append(.replica(shard, .timer(instant))) }
}

enum ReplicaOutput {
  case send([UInt8], NodeID)
  case effect(ReplicationEffect)
  case timer(Instant)
}
