// How often each thing happened: a run in which nothing went wrong has proven nothing.

package import Simulator

package struct ClusterTotals: Sendable {
  package private(set) var counts: [String: Int] = [:]
  package var network = NetworkFaultCounts()

  package init() {}

  mutating func note(_ name: String, _ times: Int = 1) { counts[name, default: 0] += times }

  package mutating func add(_ other: ClusterTotals) {
    counts.merge(other.counts, uniquingKeysWith: +)
    network = network + other.network
  }

  /// Faults that took effect, those of the network included.
  package var faults: Int {
    network.total + (Self.required + Self.requiredOfOwnership).reduce(0) { $0 + (counts[$1] ?? 0) }
  }

  /// What every long run must have met.
  package static let required = [
    "crash", "restart", "power failure",
    "leave", "pause", "starvation", "slow disk", "partition", "one-way cut", "stream closed",
    "stream refused", "crash before an incarnation was durable",
  ]

  /// The same of runs with ownership.
  package static let requiredOfOwnership = [
    "crash at an effect", "crash between two effects", "crash and quick restart", "primary cut off, voters restarted",
    "lost disk", "emptied log", "damaged log noticed", "failed write", "stalled log", "control store cut off",
    "control store down", "control store slow", "control store compacted", "control store out of reach",
    "watches broken", "watch late", "watch compacted", "answer lost", "answer late", "transaction made late",
    "datagram corrupted",
    "hand-over", "change of voters", "crash before a promise was durable",
    "crash before a record was durable", "crash of a primary", "stale page", "damaged replica noticed",
    "primary deposed", "primary split from a voter", "promotion", "catch-up from the log", "catch-up from a base",
    "tail to quarantine",
    "stream broken", "message of an earlier stream", "recordings demanded", "read answered by a standby",
    "hand-over finished", "first word of an ended grant lost",
  ]

  package func missing(joint: Bool) -> [String] {
    (Self.required + (joint ? Self.requiredOfOwnership : [])).filter { counts[$0] == nil }
  }
  package var listing: [String] { counts.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" } }

  /// What a run of both must meet so often on average, or it has shown little: in thousandths of a time per seed.
  private static let wanted: [(name: String, counts: [String], permille: Int)] = [
    ("promotions", ["promotion"], 3000),
    ("catch-ups", ["catch-up from the log", "catch-up from a base"], 1000),
    ("catch-ups from a base", ["catch-up from a base"], 100),
    ("quarantines", ["tail to quarantine"], 1000),
  ]

  private func sum(_ names: [String]) -> Int { names.reduce(0) { $0 + (counts[$1] ?? 0) } }

  package func averages(over seeds: Int) -> String {
    let words = Self.wanted.map { "\(Double(sum($0.counts) * 10 / max(1, seeds)) / 10) \($0.name)" }
    return "on average a seed met " + words.joined(separator: ", ")
  }

  package func tooFew(over seeds: Int) -> [String] {
    Self.wanted.filter { sum($0.counts) * 1000 < seeds * $0.permille }.map { "too few \($0.name)" }
  }
}
