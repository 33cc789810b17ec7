// When to call again a peer that could not be reached: doubled each time, jittered, started anew by a link that held.

internal import UVLoop

package struct FabricBackoff: Sendable {
  private let least: Int64
  private let greatest: Int64
  private var failures = 0

  package init(least: Duration, greatest: Duration) {
    self.least = max(least.nanoseconds, 1_000_000)
    self.greatest = max(greatest.nanoseconds, self.least)
  }

  /// A link that held for less than the longest wait counts as a failure: a peer that takes and drops links in turns is
  /// not called in a tight loop.
  package mutating func held(for nanoseconds: Int64) { if nanoseconds >= greatest { failures = 0 } }

  package mutating func reset() { failures = 0 }

  /// Between half and the whole of the doubled wait, so that a crowd does not come back at one instant.
  package mutating func next(using random: inout some RandomNumberGenerator) -> Duration {
    let (doubled, overflow) = least.multipliedReportingOverflow(by: 1 << min(failures, 40))
    failures += 1
    let whole = overflow ? greatest : min(doubled, greatest)
    return .nanoseconds(Int64.random(in: (whole / 2)...whole, using: &random))
  }
}
