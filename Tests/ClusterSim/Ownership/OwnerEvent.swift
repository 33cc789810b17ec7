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
  case replica(ReplicaEvent)
  case write(Int, shard: Int, id: UInt64)
  case read(Int, shard: Int, began: Int64, acknowledged: LogIndex)
  case readEnds(Int, life: Int, shard: Int, epoch: Epoch, pin: LogIndex, began: Int64, acknowledged: LogIndex)

  // Of no node.
  case storeArrival(Int, life: Int, UInt64, StoreAsk)
  case watchDelivery(Int, life: Int, UInt64, [SimulatedControlStore.Change])
  case client
  case operate
  case coup(shard: Int, Int64)
  case isolate(Int, Int64)
  /// The network is as the plan has it again.
  case calm
  case stall(Int, Bool)
  case storeBack
  case storeHealed([Int])

  /// The node whose process this needs.
  var node: Int? {
    switch self {
    case .timer(let n, _, _), .message(let n, _, _), .answer(let n, _, _, _), .persisted(let n, _, _),
      .write(let n, _, _), .read(let n, _, _, _), .readEnds(let n, _, _, _, _, _, _):
      n
    case .replica(let event): event.owner?.node
    case .storeArrival, .watchDelivery, .client, .operate, .coup, .isolate, .calm, .stall, .storeBack, .storeHealed: nil
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
