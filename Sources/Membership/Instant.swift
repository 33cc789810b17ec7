// A moment of this machine's monotone clock, in nanoseconds since an origin that only its owner knows.
//
// Time is an argument everywhere in this module; two instants of different machines mean nothing to each other.

package struct Instant: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var nanoseconds: Int64

  package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  package static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }
  package static func + (a: Instant, b: Interval) -> Instant { Instant(nanoseconds: a.nanoseconds + b.nanoseconds) }
  package static func - (a: Instant, b: Interval) -> Instant { Instant(nanoseconds: a.nanoseconds - b.nanoseconds) }
  package static func - (a: Instant, b: Instant) -> Interval { Interval(nanoseconds: a.nanoseconds - b.nanoseconds) }

  /// Seconds with milliseconds: `12.345`.
  package var description: String { Interval(nanoseconds: nanoseconds).description }
}

/// A length of time in nanoseconds; integers, so that a seed repeats on every machine.
package struct Interval: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var nanoseconds: Int64

  package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  package static let zero = Interval(nanoseconds: 0)
  package static func microseconds(_ n: Int) -> Interval { Interval(nanoseconds: Int64(n) * 1000) }
  package static func milliseconds(_ n: Int) -> Interval { Interval(nanoseconds: Int64(n) * 1_000_000) }
  package static func seconds(_ n: Int) -> Interval { Interval(nanoseconds: Int64(n) * 1_000_000_000) }

  package static func < (a: Interval, b: Interval) -> Bool { a.nanoseconds < b.nanoseconds }
  package static func + (a: Interval, b: Interval) -> Interval { Interval(nanoseconds: a.nanoseconds + b.nanoseconds) }
  package static func - (a: Interval, b: Interval) -> Interval { Interval(nanoseconds: a.nanoseconds - b.nanoseconds) }
  package static func * (a: Interval, n: Int) -> Interval { Interval(nanoseconds: a.nanoseconds * Int64(n)) }
  package static func / (a: Interval, n: Int) -> Interval { Interval(nanoseconds: a.nanoseconds / Int64(n)) }

  /// Scaled by thousandths.
  package func permille(_ n: Int) -> Interval { Interval(nanoseconds: nanoseconds / 1000 * Int64(n)) }

  package var milliseconds: Int { Int(nanoseconds / 1_000_000) }
  package var seconds: Int { Int(nanoseconds / 1_000_000_000) }

  package var description: String {
    let total = nanoseconds.magnitude / 1_000_000
    let digits = String(1000 + total % 1000).dropFirst()
    return (nanoseconds < 0 ? "-" : "") + "\(total / 1000).\(digits)"
  }
}
