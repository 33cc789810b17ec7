// How long a snapshot took until it was stored, and until it was proven: what its job's result says.

import Threads

final class SnapshotTimes: Sendable {
  private let began = ContinuousClock.now
  private let stored = Lock<Duration?>(nil)

  /// Hears the snapshot's progress. At half all chunks are written; what makes them a snapshot, its manifest, is durable
  /// before the proof begins, which is what lies behind the half.
  func note(_ fraction: Double) {
    guard fraction > 0.5 else { return }
    let taken = ContinuousClock.now - began
    stored.with { if $0 == nil { $0 = taken } }
  }

  /// In seconds; to be asked for when the snapshot is proven.
  var result: [String: String] {
    let proven = ContinuousClock.now - began
    return ["stored_seconds": (stored.with { $0 } ?? proven).seconds, "proven_seconds": proven.seconds]
  }
}

extension Duration {
  /// With three decimals.
  fileprivate var seconds: String {
    let milliseconds = components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    let rest = String(milliseconds % 1000)
    return "\(milliseconds / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
  }
}
