// What waits in virtual time for the ownership half of a node, its clients and its control store.

import Base
import Control
import Formats
import Simulator

enum OwnerEvent {
  case timer(Int, life: Int, UInt64)
  case message(to: Int, from: Int, [UInt8])
  case answer(Int, life: Int, UInt64, StoreAnswer)
  case persisted(Int, life: Int, OwnershipPromise)
  case synced(Int, life: Int, shard: Int, UInt64)
  case replication(to: Int, from: Int, shard: Int, Replication)
  case retransmit(Int, life: Int)
  case write(Int, shard: Int, id: UInt64)
  case read(Int, shard: Int, began: Int64, acknowledged: Int)
  case readEnds(Int, life: Int, shard: Int, epoch: Epoch, pin: Int, began: Int64, acknowledged: Int)

  // Of no node.
  case storeArrival(Int, life: Int, UInt64, StoreAsk)
  case watchDelivery(Int, life: Int, UInt64, [SimulatedControlStore.Change])
  case client
  case operate
  case stall(Int, Bool)
  case storeBack
  case storeHealed([Int])

  /// The node whose process this needs.
  var node: Int? {
    switch self {
    case .timer(let n, _, _), .message(let n, _, _), .answer(let n, _, _, _), .persisted(let n, _, _),
      .synced(let n, _, _, _), .replication(let n, _, _, _), .retransmit(let n, _), .write(let n, _, _),
      .read(let n, _, _, _), .readEnds(let n, _, _, _, _, _, _):
      n
    case .storeArrival, .watchDelivery, .client, .operate, .stall, .storeBack, .storeHealed: nil
    }
  }
}

enum StoreAnswer {
  case list([(value: [UInt8], revision: Int64)], Int64)
  case entry((value: [UInt8], revision: Int64)?)
  case transacted(Bool, Int64)
  case changes([SimulatedControlStore.Change])
  case watchEnded(isCompacted: Bool)
  case failed(isUnknown: Bool)
}

/// Of the model of a data plane: what a primary sends to its replicas, and what they answer.
enum Replication {
  case append(epoch: Epoch, previous: Int, previousEpoch: Epoch, entries: [ShardLog.Entry], commit: Int)
  case acknowledged(epoch: Epoch, index: Int)
  /// It does not fit; the log ends here at most.
  case refused(epoch: Epoch, last: Int)
}
