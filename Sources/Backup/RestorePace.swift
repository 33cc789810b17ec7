// When a restore makes durable what it has: after one group of chunks, or after a while where disks are slow; and what that is
// while several threads write.

import Base
import Threads

/// How a restore runs, beside what it restores.
package struct RestoreControl: Sendable {
  package var cancel = CancelFlag()
  /// Kept with the progress; for whoever goes on with it after a restart.
  package var note: [UInt8] = []
  /// Original bytes of one group of chunks.
  package var groupBytes = Limits.restoreGroupBytes
  package var interval = Duration.seconds(2)
  let doubt = ProofDoubt()

  package init() {}
}

/// Set once a proof has vouched for what does not hold: from then on everything is decoded and compared.
package final class ProofDoubt: Sendable {
  private let state = Lock(false)
  var isSet: Bool { state.with { $0 } }
  func set() { state.with { $0 = true } }
}

final class RestorePace: Sendable {
  private struct State {
    var bytes = 0
    var since = ContinuousClock.now
  }
  private let state = Lock(State())
  private let control: RestoreControl

  init(_ control: RestoreControl) { self.control = control }

  /// True when what was written since the last time is to become durable now: for one caller each time.
  func isDue(after bytes: Int) -> Bool {
    state.with { s in
      s.bytes += bytes
      guard s.bytes >= control.groupBytes || ContinuousClock.now - s.since >= control.interval else { return false }
      s = State()
      return true
    }
  }
}

/// Groups of pages come out of order; what may be noted is where the first one is missing.
final class PageFront: Sendable {
  private let state: Lock<(isThere: [Bool], front: Int)>

  init(of groups: Int) { state = Lock(([Bool](repeating: false, count: groups), 0)) }

  /// `group` is written. How many there are now from the first on without a gap.
  func passed(_ group: Int) -> Int {
    state.with { s in
      s.isThere[group] = true
      while s.front < s.isThere.count, s.isThere[s.front] { s.front += 1 }
      return s.front
    }
  }
}
