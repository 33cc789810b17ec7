// Two nodes lead one after the other, and neither knows of the other's records: when the second comes back, its tail of
// the newer epoch gives way to records of the older one, and the node may stop in the middle of them.

import Base
import Formats

extension ReplicaWorld {
  func rivals() {
    guard let leader, nodes.allSatisfy(\.isUp), nodes.allSatisfy({ common(nodes[leader].log, $0.log) == $0.log.count })
    else { return }
    let first = nodes[leader]
    note("node \(leader) will have a rival")
    writeAlone(first)
    guard first.isUp else { return }
    crash(first, staysDown: true)
    elect()
    guard let next = self.leader, next != first.number else { return }
    let second = nodes[next]
    writeAlone(second)
    guard second.isUp else { return }
    crash(second, staysDown: true)
    revive(first)
    elect()
    guard self.leader == first.number else { return }
    writeAlone(first)
    guard first.isUp else { return }
    revive(second)
    guard second.isUp else { return }
    totals.note("rivals")
    deliver(to: second)
    if second.isUp { flush(second) }
    if second.isUp, random.oneIn(2) { crash(second) }
  }

  /// Durable there, and nowhere else.
  private func writeAlone(_ node: ReplicaNode) {
    for _ in 0..<(1 + random.below(4)) { write() }
    for _ in 0..<20 where node.isUp && violation == nil {
      runJob(node)
      flush(node)
    }
  }
}
