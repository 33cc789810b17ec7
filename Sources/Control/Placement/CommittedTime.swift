// The cluster's time for retention: the median of the voters' clocks, never back, never faster than time passes.
//
// What is older than its retention is erased for good, so no wrong clock may bring that nearer: a minority of liars
// cannot move the median out of the honest range, and even a lying majority gains at most a tenth of the time that has
// really passed. It dates nothing and orders nothing.

package import Base

package enum CommittedTime {
  /// The time to begin with, for a cluster that has none: the median. Nil without a clock.
  package static func first(clocks: [UnixMicroseconds]) -> UnixMicroseconds? {
    // Of an even number the earlier of the two in the middle: too late is safe, too early erases.
    clocks.isEmpty ? nil : clocks.sorted()[(clocks.count - 1) / 2]
  }

  /// The time `elapsed` after `previous` was committed, `elapsed` by the monotone clock of whoever commits.
  package static func next(
    previous: UnixMicroseconds, elapsed: Interval, clocks: [UnixMicroseconds]
  ) -> UnixMicroseconds {
    guard let median = first(clocks: clocks) else { return previous }
    let passed = max(0, elapsed.nanoseconds) / 1000
    let (bound, overflows) = previous.addingReportingOverflow(passed + passed / 10)
    return min(max(previous, median), overflows ? .max : bound)
  }
}
