// What waits in virtual time for the replicas of a node, their disks and the streams between nodes.

import Base
import Formats

enum ReplicaEvent {
  case timer(Int, life: Int, shard: Int, UInt64)
  case logSynced(Int, life: Int, shard: Int, UInt64)
  case cutDone(Int, life: Int, shard: Int, Position)
  case logRead(Int, life: Int, shard: Int, for: NodeID, from: LogIndex)
  case epochRecord(Int, life: Int, shard: Int, Epoch)
  case part(Int, life: Int, shard: Int, Epoch, id: UInt64)
  case uploaded(Int, life: Int, shard: Int, Epoch, SimulatedReplica.Group)
  case fetch(Int, life: Int, shard: Int, [RecordingID], from: Int, Epoch)
  case fetched(Int, life: Int, shard: Int, [RecordingID])
  case flushed(Int, life: Int, shard: Int, PageState)
  case base(Int, life: Int, shard: Int, from: Int, Epoch)
  case baseSynced(Int, life: Int, shard: Int, SimulatedReplica.Base)
  case standbyRead(Int, shard: Int, bound: Int64, triesLeft: Int)

  case message(to: Int, life: Int, from: Int, generation: Int, [UInt8])
  case peerUp(Int, life: Int, Int)
  case peerDown(Int, life: Int, Int)

  // Of no node.
  case stall(Int, Int, generation: Int)
  case broken(Int, Int, generation: Int)
  case connect(Int, Int)
  case checkpoint

  /// The node whose process this needs, and the life of it when it is of one only.
  var owner: (node: Int, life: Int?)? {
    switch self {
    case .timer(let n, let life, _, _), .logSynced(let n, let life, _, _), .cutDone(let n, let life, _, _),
      .logRead(let n, let life, _, _, _), .epochRecord(let n, let life, _, _), .part(let n, let life, _, _, _),
      .uploaded(let n, let life, _, _, _), .fetch(let n, let life, _, _, _, _), .fetched(let n, let life, _, _),
      .flushed(let n, let life, _, _), .base(let n, let life, _, _, _), .baseSynced(let n, let life, _, _),
      .message(let n, let life, _, _, _), .peerUp(let n, let life, _), .peerDown(let n, let life, _):
      (n, life)
    case .standbyRead(let n, _, _, _): (n, nil)
    case .stall, .broken, .connect, .checkpoint: nil
    }
  }
}
