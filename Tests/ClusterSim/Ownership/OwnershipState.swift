// All that one run knows of ownership: nodes, control store, clients, and what an operator wants.

import Base
import Control
import Formats
import Simulator

final class OwnershipState {
  struct Watcher {
    let node: Int
    let life: Int
    let request: UInt64
    /// No delivery overtakes another.
    var last: Int64
  }

  /// Bad luck with datagrams: of a new epoch this node can hear only in replies that list ended grants, and the first
  /// that lists one is lost.
  struct Muffled {
    let node: Int
    let until: Int64
    /// Listed in a reply that was lost, by granter.
    var lost: [Int: Set<OwnershipClaim>] = [:]
  }

  let plan: OwnershipPlan
  var owners: [SimulatedOwner]
  var shardNumbers: [AccountID: Int] = [:]
  var store = SimulatedControlStore()
  var watchers: [Watcher] = []
  /// Nodes that cannot reach the store, by how many cuts.
  var storeCuts: [Int]
  /// The next transaction of these is made after they have heard that it is unknown.
  var madeLate: Set<Int> = []
  var storeDownUntil: Int64 = 0
  var storeSlowUntil: Int64 = 0
  /// Where clients believe the primary.
  var guesses: [Int]
  var nextID: UInt64 = 0
  /// Voters that an operator wants, and since when.
  var wanted: [(set: VoterSet, since: Int64)?]
  var isHealed = false
  var muffled: Muffled?
  /// By the two nodes.
  var streams: [Int: SimulatedStream] = [:]
  let checkers: OwnershipCheckers

  init(_ plan: OwnershipPlan, count: Int) {
    self.plan = plan
    owners = (0..<count).map { SimulatedOwner(number: $0, shards: plan.shards.count) }
    for (i, shard) in plan.shards.enumerated() { shardNumbers[shard.account] = i }
    storeCuts = Array(repeating: 0, count: count)
    guesses = plan.shards.map { $0.voters[0] }
    wanted = plan.shards.map { _ in nil }
    checkers = OwnershipCheckers(shards: plan.shards.count, nodes: count)
  }
}
