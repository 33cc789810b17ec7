// How often each thing happened, over all seeds: a run in which a class never happened has proven nothing of it.

package import Simulator

package struct Totals: Sendable {
  package private(set) var counts: [String: Int] = [:]
  package var disk = FaultCounts()

  package init() {}

  mutating func note(_ name: String, _ times: Int = 1) { counts[name, default: 0] += times }

  package mutating func add(_ other: Totals) {
    counts.merge(other.counts, uniquingKeysWith: +)
    disk = disk + other.disk
  }

  /// What every run of a few hundred seeds must have seen.
  package static let required =
    [
      "write acknowledged", "write refused", "write unknown", "large write", "failing member", "idempotent repeat",
      "table made or dropped", "recording put", "recording deleted", "session committed", "session rolled back",
      "read", "read across steps", "pinned view checked", "drop of pending records", "checkpoint finished",
      "log file used again", "log split", "account closed and opened", "collection", "record continued",
      "life ended by crash", "life ended by kill", "life ended by close", "crash during recovery",
      "crash with pending writes", "crash during a checkpoint", "crash with a session open", "step inside an operation",
      "fault log", "fault segment", "fault pages", "fault redo", "fault volume", "fault keyring", "fault names",
      "fault full disk",
    ] + StopPlan.Place.allCases.map { "crash at \($0.rawValue)" }

  package var missing: [String] { Self.required.filter { counts[$0] == nil } }

  package var listing: [String] { counts.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" } }
}
