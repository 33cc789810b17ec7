// Updates that still have to be told: the least told first, the newest of those first (SWIM 4.1), each a bounded number
// of times. A newer word about the same member replaces the older one, except that accusations by several stand beside
// each other: each of them shortens the suspicion.
//
// Updates lie in one bucket per number of times told. A replaced one stays in its bucket and is skipped by its serial.

import Base
import Formats

struct UpdateQueue: Sendable {
  private struct Item: Sendable {
    let update: GossipUpdate
    let serial: UInt64
  }

  /// What counts of one member's updates.
  private struct Current: Sendable {
    /// Those with a smaller serial are replaced.
    var first: UInt64
    var count: Int
    /// The accused incarnation where all of them are accusations.
    var suspected: Incarnation?
  }

  private var buckets: [[Item]] = []
  private var current: [NodeID: Current] = [:]
  private var serial: UInt64 = 0

  var isEmpty: Bool { current.isEmpty }

  mutating func put(_ update: GossipUpdate) {
    serial += 1
    var suspected: Incarnation?
    if case .suspect(_, let incarnation, _) = update { suspected = incarnation }
    if let suspected, let others = current[update.node], others.suspected == suspected {
      current[update.node]?.count += 1
    } else {
      current[update.node] = Current(first: serial, count: 1, suspected: suspected)
    }
    if buckets.isEmpty { buckets.append([]) }
    buckets[0].append(Item(update: update, serial: serial))
    // While there is nobody to be told, or too little room for all, replaced ones would pile up.
    if buckets.reduce(0, { $0 + $1.count }) > 8 * current.count + 64 { dropReplaced() }
  }

  private mutating func dropReplaced() {
    let counted = current
    for times in buckets.indices {
      buckets[times].removeAll { item in item.serial < counted[item.update.node]?.first ?? .max }
    }
  }

  mutating func remove(_ node: NodeID) { current[node] = nil }

  mutating func removeAll() {
    buckets = []
    current = [:]
  }

  /// Adds what fits into `room` bytes to `chosen`, and counts each as told; after `limit` times it is dropped.
  mutating func take(into chosen: inout [GossipUpdate], room: inout Int, limit: Int) {
    guard !current.isEmpty else { return }
    // Choose first and move afterwards, so that what moves up a bucket is not met again.
    var moved: [(Item, times: Int)] = []
    for times in buckets.indices where !buckets[times].isEmpty {
      var kept: [Item] = []
      var bucket: [Item] = []
      swap(&bucket, &buckets[times])
      while let item = bucket.popLast() {
        guard let counted = current[item.update.node], item.serial >= counted.first else { continue }
        let size = item.update.byteCount
        if size <= room, chosen.count < GossipLimits.updatesMax {
          room -= size
          chosen.append(item.update)
          moved.append((item, times + 1))
        } else {
          kept.append(item)
        }
        // Nothing smaller than this exists.
        if room < 25 { break }
      }
      bucket.append(contentsOf: kept.reversed())
      swap(&bucket, &buckets[times])
      if room < 25 || chosen.count == GossipLimits.updatesMax { break }
    }
    for (item, times) in moved {
      guard times < limit else {
        finish(item.update.node)
        continue
      }
      while buckets.count <= times { buckets.append([]) }
      buckets[times].append(item)
    }
  }

  private mutating func finish(_ node: NodeID) {
    guard let counted = current[node] else { return }
    if counted.count == 1 { current[node] = nil } else { current[node]?.count -= 1 }
  }
}
