// How often the network did what no user wants: what a run must have met before its silence means anything.

package struct NetworkFaultCounts: Sendable, Equatable, CustomStringConvertible {
  package internal(set) var lost = 0
  package internal(set) var duplicated = 0
  package internal(set) var reordered = 0
  package internal(set) var cut = 0

  package init() {}

  package var total: Int { lost + duplicated + reordered + cut }

  package static func + (a: NetworkFaultCounts, b: NetworkFaultCounts) -> NetworkFaultCounts {
    var sum = a
    sum.lost += b.lost
    sum.duplicated += b.duplicated
    sum.reordered += b.reordered
    sum.cut += b.cut
    return sum
  }

  package var description: String { "lost \(lost), twice \(duplicated), reordered \(reordered), cut \(cut)" }
}
