// One node's ownership in the simulation: its promises and replicas on the disk, and while the process runs its driver
// and what it has asked for.

import Base
import Control
import Formats

final class SimulatedOwner {
  let number: Int
  /// Nil while the process does not run.
  var driver: OwnershipDriver?

  // On the disk, by shard.
  var promises: [OwnershipPromise?]
  /// On their way, in order.
  var persisting: [OwnershipPromise] = []
  /// The log was emptied, or the disk is gone for good.
  var isBroken = false
  var isGone = false

  /// By shard.
  var replicas: [SimulatedReplica]

  // In the process.
  var timer: UInt64 = 0
  var isTimerDue = false
  var outputs: [OwnerOutput] = []
  var isDraining = false

  init(number: Int, shards: Int) {
    self.number = number
    promises = Array(repeating: nil, count: shards)
    replicas = (0..<shards).map { _ in SimulatedReplica() }
  }

  func stopProcess() {
    driver = nil
    for replica in replicas { replica.stopProcess() }
    outputs = []
    isTimerDue = false
  }
}

/// What a step wants done.
enum OwnerOutput {
  case send([UInt8], NodeID)
  case store(UInt64, StoreAsk)
  case persist(OwnershipPromise)
  case perform(OwnershipEffect)
  case timer(Instant)
  case replica(Int, ReplicaOutput)
}

enum StoreAsk {
  case list
  case get(String)
  case transact([OwnershipPut])
  case watch(Int64)
}

/// Collects what a step wants done; the world does it in order.
struct OwnerPort: OwnershipPort {
  var outputs: [OwnerOutput] = []

  mutating func send(_ message: [UInt8], to node: NodeID) { outputs.append(.send(message, node)) }
  mutating func list(_ request: UInt64, prefix: String) { outputs.append(.store(request, .list)) }
  mutating func get(_ request: UInt64, key: String) { outputs.append(.store(request, .get(key))) }
  mutating func transact(_ request: UInt64, _ puts: [OwnershipPut]) {
    outputs.append(.store(request, .transact(puts)))
  }
  mutating func watch(_ request: UInt64, prefix: String, from revision: Int64) {
    outputs.append(.store(request, .watch(revision)))
  }
  mutating func persist(_ promise: OwnershipPromise) { outputs.append(.persist(promise)) }
  mutating func perform(_ effect: OwnershipEffect) { outputs.append(.perform(effect)) }
  mutating func setTimer(_ instant: Instant) { outputs.append(.timer(instant)) }
}
