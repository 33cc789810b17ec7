// Nodes stop and come back: what each has then must be what it had called durable, and the place that it was at.

import Base
import Formats
import ShardStore
import Simulator

extension ReplicaWorld {
  func crash(_ node: ReplicaNode, staysDown: Bool = false) {
    let isKill = !node.disk.isDead && random.oneIn(3)
    note("node \(node.number) \(isKill ? "is killed" : "loses its power")")
    totals.note(isKill ? "kill of a replica" : "crash of a replica")
    if leader == node.number { leader = nil }
    node.notes = []
    let next = isKill ? node.disk.kill() : node.disk.crash()
    node.engine = nil
    node.jobs = []
    node.disk = next
    node.stopAfter = nil
    if !staysDown, random.oneIn(2) { revive(node) }
  }

  func revive(_ node: ReplicaNode) {
    do {
      node.engine = try open(node)
      let standing = try node.engine!.standingNow(account)
      try take(standing, of: node)
    } catch {
      node.engine = nil
      if node.disk.isDead { return crash(node) }
      report("opening", "node \(node.number) does not open: \(error)")
    }
    node.notes = []
  }

  /// What a node has after a crash: everything that it called durable, and nothing that never was.
  private func take(_ standing: ReplicaStanding, of node: ReplicaNode) throws {
    let end = standing.tail.last?.position ?? standing.committed
    var log: [Position] = []
    var at = end
    while at.index > 0 {
      guard let record = records[at] else {
        return report("opening", "node \(node.number) has \(at), which nobody made")
      }
      log.append(at)
      let previous = records.keys.first { $0.index == at.index - 1 && $0.checksum == record.header.previous }
      guard let previous else { break }
      at = previous
    }
    log.reverse()
    guard log.count == Int(end.index) else {
      return report("opening", "node \(node.number): the log to \(end) has holes")
    }
    let same = common(log, node.log)
    guard same >= Int(node.durable) else {
      return report("durability", "node \(node.number) has \(end), but \(node.log[Int(node.durable) - 1]) was durable")
    }
    guard common(committed, log) >= min(Int(standing.committed.index), committed.count),
      Int(standing.committed.index) <= committed.count
    else { return report("commit point", "node \(node.number) calls \(standing.committed) committed") }
    let place = LogPlace(epoch: end.epoch, index: end.index)
    if place < node.reached { totals.note("place behind an earlier one after a crash") }
    guard max(standing.reached, place) >= node.reached else {
      return report(
        "place", "node \(node.number) was at \(node.reached), and is at \(place) knowing of \(standing.reached)")
    }
    guard standing.reached <= node.reached else {
      return report("place", "node \(node.number) says that it was at \(standing.reached), it was at \(node.reached)")
    }
    node.reached = max(node.reached, place)
    node.log = log
    node.durable = UInt64(log.count)
    node.matched = 0
    node.told = standing.committed.index
  }
}
